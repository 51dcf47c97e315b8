import { durationMs, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ContextValues, HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type { WebhooksService } from '../../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import {
  assertMayUseWorkspace,
  getActor,
  getCaller,
  readablePatterns,
} from '../../api-keys/index.ts';
import { decodePageToken, encodePageToken, pageSizeOf } from '../../page-token.ts';
import { traceContextOf } from '../../trace-context-key.ts';
import { findId } from '../../type-id.ts';
import { toAttemptMessage } from '../log/delivery-message.rpc.ts';
import { WebhookSettingInvalid } from '../webhook-errors.ts';
import {
  fingerprintOf,
  toEndpointMessage,
  toEndpointSettings,
  toEndpointUpdate,
  toStartFrom,
} from './endpoint-message.rpc.ts';
import type { EndpointStore } from './endpoint-store.ts';
import type { FindStart } from './find-start.ts';
import { assertMayRead, type GetEndpoint, toChangeOptions } from './get-endpoint.rpc.ts';
import type { SecretStore } from './secret-store.ts';
import type { SendTestEvent } from './send-test-event.ts';
import { checkHeaders, coversEndpoint } from './webhook-endpoint.ts';

export interface EndpointsRpcDeps {
  readonly store: EndpointStore;
  readonly secrets: SecretStore;
  readonly getEndpoint: GetEndpoint;
  readonly workspaces: { assertExists(id: string): Promise<void> };
  readonly findStart: FindStart;
  /** Why a URL cannot be an endpoint's, as a sentence that begins with "must". */
  readonly findUrlFault: (url: string) => string | undefined;
  readonly sendTestEvent: SendTestEvent;
}

type EndpointRpcs = Pick<
  ServiceImpl<typeof WebhooksService>,
  | 'createWebhookEndpoint'
  | 'retrieveWebhookEndpoint'
  | 'listWebhookEndpoints'
  | 'updateWebhookEndpoint'
  | 'deleteWebhookEndpoint'
  | 'pauseWebhookEndpoint'
  | 'resumeWebhookEndpoint'
  | 'revealSecret'
  | 'rotateSecret'
  | 'sendTestEvent'
>;

const overlapMsUsual = 24 * 60 * 60_000;

/** The RPCs of harbor.webhooks.v1.WebhooksService about endpoints and their secrets. */
export function createEndpointsRpc(deps: EndpointsRpcDeps): EndpointRpcs {
  const { store, secrets, getEndpoint, workspaces, findStart, findUrlFault, sendTestEvent } = deps;

  function assertUrl(url: string): void {
    const fault = findUrlFault(url);
    if (fault !== undefined) throw new WebhookSettingInvalid('url', fault);
  }

  async function getMessage(values: ContextValues, id: string) {
    return toEndpointMessage(await getEndpoint(getCaller(values), id));
  }

  return {
    async createWebhookEndpoint(request, context) {
      const { values } = context;
      keepSecret(context);
      const { workspaceId, typePatterns, requestId } = request;
      const by = getActor(values);
      assertMayRead(by.caller);
      assertMayUseWorkspace(by.caller, workspaceId);
      const readable = readablePatterns(by.caller, typePatterns);
      assertUrl(request.url);
      const headers = checkHeaders(request.headers);
      await workspaces.assertExists(workspaceId);
      const settings = toEndpointSettings(request, readable);
      const start = toStartFrom(request);
      const { catchUpMaxPerSecond } = request;
      const asked = [workspaceId, settings, headers, start, catchUpMaxPerSecond];
      const { id, secret, replayed } = await store.create(
        {
          ...settings,
          workspaceId,
          headers,
          startAfter: await findStart(workspaceId, start),
          catchUpMaxPerSecond: catchUpMaxPerSecond || undefined,
        },
        {
          by,
          request:
            requestId === '' ? undefined : { id: requestId, fingerprint: fingerprintOf(asked) },
        },
      );
      return { endpoint: await getMessage(values, id), secret, replayed };
    },

    async retrieveWebhookEndpoint({ id }, { values }) {
      return { endpoint: await getMessage(values, id) };
    },

    async listWebhookEndpoints({ workspaceId, pageSize, pageToken }, { values }) {
      const caller = getCaller(values);
      assertMayUseWorkspace(caller, workspaceId);
      await workspaces.assertExists(workspaceId);
      const list = `webhook_endpoints ${workspaceId}`;
      const limit = pageSizeOf(pageSize);
      const found = await store.list({
        workspaceId,
        beforeId: decodePageToken(list, pageToken, (id) => findId('whe', id)),
        limit: limit + 1,
      });
      const page = found.slice(0, limit);
      const last = found.length > limit ? page.at(-1) : undefined;
      const covered = page.filter(({ typePatterns }) =>
        coversEndpoint(caller, { workspaceId, typePatterns }),
      );
      const endpoints = await store.read(covered.map(({ id }) => id));
      return {
        endpoints: endpoints.map(toEndpointMessage),
        nextPageToken: last === undefined ? '' : encodePageToken(list, last.id),
      };
    },

    async updateWebhookEndpoint(request, { values }) {
      const { id, url, typePatterns } = request;
      const options = toChangeOptions(values, id);
      assertMayRead(getCaller(values));
      if (url !== undefined) assertUrl(url);
      const wanted = typePatterns && readablePatterns(getCaller(values), typePatterns.typePatterns);
      await store.update(id, toEndpointUpdate(request, wanted), options);
      return { endpoint: await getMessage(values, id) };
    },

    async deleteWebhookEndpoint({ id }, { values }) {
      await store.delete(id, toChangeOptions(values, id));
      return {};
    },

    async pauseWebhookEndpoint({ id }, { values }) {
      await store.pause(id, toChangeOptions(values, id));
      return { endpoint: await getMessage(values, id) };
    },

    async resumeWebhookEndpoint({ id, fromNow }, { values }) {
      await store.resume(id, { ...toChangeOptions(values, id), fromNow });
      return { endpoint: await getMessage(values, id) };
    },

    async revealSecret({ id }, context) {
      const { values } = context;
      keepSecret(context);
      const found = await secrets.reveal(id, toChangeOptions(values, id));
      return {
        secrets: found.map(({ secret, createdAt, expiresAt }) => ({
          secret,
          createdAt: timestampFromDate(createdAt),
          ...(expiresAt && { expiresAt: timestampFromDate(expiresAt) }),
        })),
      };
    },

    async rotateSecret({ id, overlap }, context) {
      const { values } = context;
      keepSecret(context);
      const overlapMs = overlap === undefined ? overlapMsUsual : Math.ceil(durationMs(overlap));
      return { secret: await secrets.rotate(id, overlapMs, toChangeOptions(values, id)) };
    },

    async sendTestEvent({ id }, context) {
      const endpoint = await getEndpoint(getCaller(context.values), id);
      const result = await sendTestEvent(endpoint, traceContextOf(context));
      return { attempt: toAttemptMessage({ number: 1, ...result }) };
    },
  };
}

/** An answer that nobody on the way may keep. */
function keepSecret({ responseHeader }: HandlerContext): void {
  responseHeader.set('cache-control', 'no-store');
}
