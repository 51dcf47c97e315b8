import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { Client } from '@connectrpc/connect';
import type { WebhooksService } from '../../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import type { Caller } from '../caller.ts';
import { type CreateOnceOptions, createOnceOptionNames, requestIdOf } from '../create-once.ts';
import { type Attempt, attemptFromMessage } from '../deliveries/delivery-messages.ts';
import { parseInteger, requireString } from '../events/request-fields.ts';
import type { Names } from '../known-names.ts';
import { type ItemList, listPages, type PageQuery, pageQueryNames } from '../list-pages.ts';
import { parseRequestOptions, type RequestOptions, requestOptionNames } from '../options.ts';
import {
  changesToMessage,
  endpointFromMessage,
  newEndpointToMessage,
  secretFromMessage,
} from './endpoint-messages.ts';
import type {
  CreatedWebhookEndpoint,
  NewWebhookEndpoint,
  WebhookEndpoint,
  WebhookEndpointChanges,
  WebhookSecret,
} from './webhook-endpoint.ts';

/** Which endpoints to list. */
export interface WebhookEndpointQuery extends PageQuery {
  /** The workspace: ws_… */
  readonly workspaceId: string;
}

const endpointQueryNames = {
  workspaceId: true,
  ...pageQueryNames,
} satisfies Names<WebhookEndpointQuery>;

/** @internal */
export interface WebhooksDeps {
  readonly client: Client<typeof WebhooksService>;
  readonly call: Caller;
}

type ResumeOptions = RequestOptions & { readonly fromNow?: boolean | undefined };
type RotateSecretOptions = RequestOptions & { readonly overlapMs?: number | undefined };
const resumeOptionNames = {
  fromNow: true,
  ...requestOptionNames,
} satisfies Names<ResumeOptions>;
const rotateSecretOptionNames = {
  overlapMs: true,
  ...requestOptionNames,
} satisfies Names<RotateSecretOptions>;

const overlapMsMax = 7 * 24 * 60 * 60_000;
/** What an endpoint may take to answer, and more. */
const testTimeoutMs = 45_000;

/**
 * Where the events of workspaces are sent: `harbor.webhookEndpoints`.
 *
 * All calls reject as those of `harbor.events` do; with NotFoundError for an endpoint that does not exist, or that the API key
 * does not cover; with PermissionError when the key lacks webhooks:read or webhooks:write, or for `create` and `update`
 * events:read.
 */
export class WebhookEndpoints {
  readonly #deps: WebhooksDeps;

  /** @internal */
  constructor(deps: WebhooksDeps) {
    this.#deps = deps;
  }

  /**
   * Creates an endpoint, once whatever happens to the attempts. Keep the `secret`: by it the receiver verifies requests.
   *
   * Rejects with InvalidRequestError, also for a URL that may not be connected to, and past 1,000 endpoints in a workspace; with
   * a HarborError of the reason ENCRYPTION_KEY_MISSING when the service has no key to keep secrets by.
   */
  async create(
    endpoint: NewWebhookEndpoint,
    options: CreateOnceOptions = {},
  ): Promise<CreatedWebhookEndpoint> {
    const { client, call } = this.#deps;
    const common = parseRequestOptions(options, createOnceOptionNames);
    const request = newEndpointToMessage(endpoint, requestIdOf(options));
    const answer = await call((attempt) => client.createWebhookEndpoint(request, attempt), common);
    const { secret, replayed } = answer;
    const created = endpointFromMessage(answer.endpoint);
    // An attempt of this call has created it, and its secret went with the answer.
    if (replayed && options.requestId === undefined) {
      const [newest] = await this.revealSecret(created.id, common);
      return { ...created, ...(newest && { secret: newest.secret }), replayed: false };
    }
    return { ...created, ...(secret !== '' && { secret }), replayed };
  }

  async retrieve(id: string, options: RequestOptions = {}): Promise<WebhookEndpoint> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    const answer = await call(
      (attempt) => client.retrieveWebhookEndpoint(request, attempt),
      options,
    );
    return endpointFromMessage(answer.endpoint);
  }

  /** Lists the endpoints of a workspace that the API key covers, newest first. */
  list(query: WebhookEndpointQuery, options: RequestOptions = {}): ItemList<WebhookEndpoint> {
    const { client, call } = this.#deps;
    return listPages(
      {
        call,
        fields: endpointQueryNames,
        send: (asked: WebhookEndpointQuery, page) => {
          const request = {
            ...page,
            workspaceId: requireString('workspaceId', asked.workspaceId),
          };
          return (attempt) => client.listWebhookEndpoints(request, attempt);
        },
        itemsOf: ({ endpoints }) => endpoints.map(endpointFromMessage),
      },
      query,
      options,
    );
  }

  /** Changes an endpoint; what is absent stays, `null` takes away. */
  async update(
    id: string,
    changes: WebhookEndpointChanges,
    options: RequestOptions = {},
  ): Promise<WebhookEndpoint> {
    const { client, call } = this.#deps;
    const request = changesToMessage(id, changes);
    const answer = await call((attempt) => client.updateWebhookEndpoint(request, attempt), options);
    return endpointFromMessage(answer.endpoint);
  }

  /** Deletes an endpoint, with its secrets and replays; what waits for it is cancelled. */
  async delete(id: string, options: RequestOptions = {}): Promise<void> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    await call((attempt) => client.deleteWebhookEndpoint(request, attempt), options);
  }

  /** Sends it nothing more until it is resumed. */
  async pause(id: string, options: RequestOptions = {}): Promise<WebhookEndpoint> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    const answer = await call((attempt) => client.pauseWebhookEndpoint(request, attempt), options);
    return endpointFromMessage(answer.endpoint);
  }

  /** Goes on where it stood; with `fromNow`, leaves out what lies between and cancels what waits. */
  async resume(id: string, options: ResumeOptions = {}): Promise<WebhookEndpoint> {
    const { client, call } = this.#deps;
    const common = parseRequestOptions(options, resumeOptionNames);
    const request = { id: requireString('id', id), fromNow: options.fromNow === true };
    const answer = await call((attempt) => client.resumeWebhookEndpoint(request, attempt), common);
    return endpointFromMessage(answer.endpoint);
  }

  /** The secrets that sign at present, the newest first. It is recorded in the audit. */
  async revealSecret(id: string, options: RequestOptions = {}): Promise<WebhookSecret[]> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    const answer = await call((attempt) => client.revealSecret(request, attempt), options);
    return answer.secrets.map(secretFromMessage);
  }

  /**
   * Makes a new secret, and returns it. Requests are signed by those before it too for `overlapMs`, up to 7 days; default: 24
   * hours.
   */
  async rotateSecret(id: string, options: RotateSecretOptions = {}): Promise<string> {
    const { client, call } = this.#deps;
    const common = parseRequestOptions(options, rotateSecretOptionNames);
    const overlapMs = parseInteger('overlapMs', options.overlapMs, { min: 0, max: overlapMsMax });
    const request = {
      id: requireString('id', id),
      ...(overlapMs !== undefined && { overlap: durationFromMs(overlapMs) }),
    };
    const answer = await call((attempt) => client.rotateSecret(request, attempt), common);
    return answer.secret;
  }

  /**
   * Sends one signed request with an event of the type 'harbor.webhook_endpoint.test', which is in no log, and returns what
   * the endpoint answered. Works while it is paused. Waits 45 s unless `timeoutMs` is given.
   */
  async sendTestEvent(id: string, options: RequestOptions = {}): Promise<Attempt> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    const common = parseRequestOptions(options);
    const answer = await call((attempt) => client.sendTestEvent(request, attempt), {
      ...common,
      timeoutMs: common.timeoutMs ?? testTimeoutMs,
    });
    return attemptFromMessage(answer.attempt);
  }
}
