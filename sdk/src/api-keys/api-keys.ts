import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { Client } from '@connectrpc/connect';
import type { ApiKeysService } from '../../../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import type { Caller } from '../caller.ts';
import { type CreateOnceOptions, createOnceOptionNames, requestIdOf } from '../create-once.ts';
import { parseInteger, requireString } from '../events/request-fields.ts';
import type { Names } from '../known-names.ts';
import { type ItemList, listPages, type PageQuery, pageQueryNames } from '../list-pages.ts';
import { parseRequestOptions, type RequestOptions, requestOptionNames } from '../options.ts';
import type { ApiKey, ApiKeyChanges, CreatedApiKey, NewApiKey, RotatedApiKey } from './api-key.ts';
import {
  apiKeyChangesToMessage,
  apiKeyFromMessage,
  newApiKeyToMessage,
} from './api-key-messages.ts';

/** @internal */
export interface ApiKeysDeps {
  readonly client: Client<typeof ApiKeysService>;
  readonly call: Caller;
}

/** Options of `rotate`. */
export interface RotateApiKeyOptions extends RequestOptions {
  /** How long the secret that the key has now works on, 0–7 days in milliseconds; default: it ends at once. */
  readonly overlapMs?: number | undefined;
}

const rotateOptionNames = {
  overlapMs: true,
  ...requestOptionNames,
} satisfies Names<RotateApiKeyOptions>;
const overlapMsMax = 7 * 24 * 60 * 60_000;

/**
 * Creates, lists, changes and revokes API keys: `harbor.apiKeys`. A key sees, makes and changes only keys that may do no more
 * than itself, and what it makes does not outlive it and is limited at least as much.
 *
 * All calls reject as those of `harbor.events` do; with NotFoundError for a key that does not exist, or may do more than the
 * caller's; with PermissionError when that lacks api_keys:read or api_keys:write.
 */
export class ApiKeys {
  readonly #deps: ApiKeysDeps;

  /** @internal */
  constructor(deps: ApiKeysDeps) {
    this.#deps = deps;
  }

  /**
   * Creates an API key, once whatever happens to the attempts. Keep the `secret`: it is shown this once.
   *
   * Rejects with PermissionError (API_KEY_EXCEEDS_CALLER) when the new key could do more than the caller's; with
   * NotFoundError when `workspaceIds` names a missing workspace; with a HarborError of the reason REQUEST_ID_REUSED when the
   * request id that is given has made another key.
   */
  async create(apiKey: NewApiKey, options: CreateOnceOptions = {}): Promise<CreatedApiKey> {
    const { client, call } = this.#deps;
    const common = parseRequestOptions(options, createOnceOptionNames);
    const request = newApiKeyToMessage(apiKey, requestIdOf(options));
    const answer = await call((attempt) => client.createApiKey(request, attempt), common);
    const { secret, replayed } = answer;
    const created = apiKeyFromMessage(answer.apiKey);
    // An attempt of this call has made the key, and its secret went with the answer: nobody has it.
    if (replayed && options.requestId === undefined) {
      return { ...(await this.rotate(created.id, common)), replayed: false };
    }
    return { ...created, ...(secret !== '' && { secret }), replayed };
  }

  async retrieve(id: string, options: RequestOptions = {}): Promise<ApiKey> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    const answer = await call((attempt) => client.retrieveApiKey(request, attempt), options);
    return apiKeyFromMessage(answer.apiKey);
  }

  /** Lists API keys, newest first, revoked and expired ones included. */
  list(query: PageQuery = {}, options: RequestOptions = {}): ItemList<ApiKey> {
    const { client, call } = this.#deps;
    return listPages(
      {
        call,
        fields: pageQueryNames,
        send: (_, page) => (attempt) => client.listApiKeys(page, attempt),
        itemsOf: ({ apiKeys }) => apiKeys.map(apiKeyFromMessage),
      },
      query,
      options,
    );
  }

  /**
   * Changes a key; what is absent stays. New limits hold in every process of the service within 5 seconds.
   *
   * Rejects with InvalidRequestError also when `expiresAt` is later than it was; with PermissionError
   * (API_KEY_EXCEEDS_CALLER) when a limit would be above that of the caller's key; with a HarborError of the reason
   * API_KEY_NOT_ACTIVE when the key is revoked or has expired.
   */
  async update(id: string, changes: ApiKeyChanges, options: RequestOptions = {}): Promise<ApiKey> {
    const { client, call } = this.#deps;
    const request = apiKeyChangesToMessage(id, changes);
    const answer = await call((attempt) => client.updateApiKey(request, attempt), options);
    return apiKeyFromMessage(answer.apiKey);
  }

  /**
   * Gives a key a new secret; the one that it had works on for `overlapMs`. A secret whose answer was lost is replaced by the
   * next attempt, and the one that was in use keeps its overlap. Give one where a key rotates itself: without it a lost
   * answer takes the only secret along.
   *
   * Rejects with a HarborError of the reason API_KEY_NOT_ACTIVE when the key is revoked or has expired, and of
   * OLD_SECRETS_FULL when 10 old secrets work still.
   */
  async rotate(id: string, options: RotateApiKeyOptions = {}): Promise<RotatedApiKey> {
    const { client, call } = this.#deps;
    const common = parseRequestOptions(options, rotateOptionNames);
    const overlapMs = parseInteger('overlapMs', options.overlapMs, { min: 0, max: overlapMsMax });
    const request = {
      id: requireString('id', id),
      ...(overlapMs !== undefined && { overlap: durationFromMs(overlapMs) }),
    };
    const answer = await call((attempt) => client.rotateApiKey(request, attempt), common);
    return { ...apiKeyFromMessage(answer.apiKey), secret: answer.secret };
  }

  /** Revokes a key with all its secrets, in every process of the service within 5 seconds. There is no way back. */
  async revoke(id: string, options: RequestOptions = {}): Promise<ApiKey> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    const answer = await call((attempt) => client.revokeApiKey(request, attempt), options);
    return apiKeyFromMessage(answer.apiKey);
  }
}
