import { durationMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { ApiKeysService } from '../../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { createGatheredReads } from '../gathered-reads.ts';
import { decodePageToken, encodePageToken, pageSizeOf } from '../page-token.ts';
import { findId } from '../type-id.ts';
import { ApiKeyInvalid } from './api-key-errors.ts';
import { toApiKeyMessage, toApiKeyUpdate, toApiKeyWish } from './api-key-message.rpc.ts';
import type { ApiKeyStore } from './api-key-store.ts';
import { getActor, getCaller } from './caller-key.ts';
import type { Transaction } from './create-api-key-store.ts';
import { issueApiKey } from './issue-api-key.ts';
import { getVisible, listVisible } from './visible-keys.ts';

export interface ApiKeysRpcDeps {
  readonly store: ApiKeyStore;
  /** Passes when all of the workspaces exist, throws otherwise. */
  readonly assertWorkspacesExist: (tx: Transaction, ids: readonly string[]) => Promise<void>;
}

/** An answer with a secret is kept by nobody on its way. */
const unkept = ['cache-control', 'no-store'] as const;

/** harbor.api_keys.v1.ApiKeysService over the API key store. */
export function createApiKeysRpc({
  store,
  assertWorkspacesExist,
}: ApiKeysRpcDeps): ServiceImpl<typeof ApiKeysService> {
  /** Any key may ask who it is, and thousands at once cost one statement at a time. */
  const callers = createGatheredReads({
    read: (ids) => store.findAll(ids),
    // As many as there are calls in flight.
    waitingMax: Number.POSITIVE_INFINITY,
    full: () => new Error('there is always room'),
  });

  return {
    async createApiKey(request, { values, responseHeader }) {
      responseHeader.set(...unkept);
      const { requestId, workspaceIds } = request;
      const { apiKey, secret, replayed } = await issueApiKey(store, toApiKeyWish(request), {
        by: getActor(values),
        requestId,
        check: (tx) => assertWorkspacesExist(tx, workspaceIds),
      });
      return { apiKey: toApiKeyMessage(apiKey), secret, replayed };
    },

    async listApiKeys(request, { values }) {
      const { page, nextAfterId } = await listVisible(store, getCaller(values), {
        afterId: decodePageToken('api_keys', request.pageToken, (id) => findId('key', id)),
        limit: pageSizeOf(request.pageSize),
      });
      return {
        apiKeys: page.map(toApiKeyMessage),
        nextPageToken: nextAfterId === undefined ? '' : encodePageToken('api_keys', nextAfterId),
      };
    },

    async revokeApiKey({ id }, { values }) {
      return { apiKey: toApiKeyMessage(await store.revoke(id, getActor(values))) };
    },

    async retrieveApiKey({ id }, { values }) {
      return { apiKey: toApiKeyMessage(await getVisible(store, getCaller(values), id)) };
    },

    async retrieveCaller(_request, { values }) {
      const apiKey = await callers.find(getCaller(values).apiKeyId);
      if (apiKey === undefined || apiKey.revokedAt !== undefined) throw new ApiKeyInvalid();
      return { apiKey: toApiKeyMessage(apiKey) };
    },

    async rotateApiKey({ id, overlap }, { values, responseHeader }) {
      responseHeader.set(...unkept);
      const overlapMs = overlap === undefined ? 0 : Math.ceil(durationMs(overlap));
      const { apiKey, secret } = await store.rotate(id, overlapMs, getActor(values));
      return { apiKey: toApiKeyMessage(apiKey), secret };
    },

    async updateApiKey(request, { values }) {
      const update = toApiKeyUpdate(request);
      return { apiKey: toApiKeyMessage(await store.update(request.id, update, getActor(values))) };
    },
  };
}
