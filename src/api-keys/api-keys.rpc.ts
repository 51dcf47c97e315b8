import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import {
  ApiKeyKind,
  type ApiKeySchema,
} from '../../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import type {
  ApiKeysService,
  CreateApiKeyRequest,
} from '../../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { decodePageToken, encodePageToken, pageSizeOf } from '../page-token.ts';
import { toDate } from '../timestamp.ts';
import {
  type ApiKey,
  type Caller,
  exceedsCaller,
  type Grant,
  mayDoEverything,
  outlivesCaller,
} from './api-key.ts';
import { ApiKeyExceedsCaller, ApiKeyNotFound } from './api-key-errors.ts';
import type { ApiKeyStore } from './api-key-store.ts';
import { getCaller } from './caller-key.ts';
import { issueApiKey } from './issue-api-key.ts';

export interface ApiKeysRpcDeps {
  readonly store: ApiKeyStore;
  /** Passes when the workspace exists, throws otherwise. */
  readonly assertWorkspaceExists: (workspaceId: string) => Promise<void>;
}

/** harbor.api_keys.v1.ApiKeysService over the API key store. */
export function createApiKeysRpc(
  deps: ApiKeysRpcDeps,
): Partial<ServiceImpl<typeof ApiKeysService>> {
  const { store, assertWorkspaceExists } = deps;
  return {
    async createApiKey(request, context) {
      const caller = getCaller(context.values);
      const grant = toGrant(request);
      const exceeds =
        exceedsCaller(caller, grant) ?? (outlivesCaller(caller, grant) ? 'expires_at' : undefined);
      if (exceeds !== undefined) throw new ApiKeyExceedsCaller(exceeds);
      for (const id of grant.workspaceIds) await assertWorkspaceExists(id);
      const { apiKey, secret } = await issueApiKey(store, grant);
      return { apiKey: toApiKeyMessage(apiKey), secret };
    },

    async listApiKeys(request, context) {
      const caller = getCaller(context.values);
      const limit = pageSizeOf(request.pageSize);
      const afterId = decodePageToken('api_keys', request.pageToken);
      const { page, more } = await listVisible(store, caller, afterId, limit);
      const last = more ? page.at(-1) : undefined;
      return {
        apiKeys: page.map(toApiKeyMessage),
        nextPageToken: last === undefined ? '' : encodePageToken('api_keys', last.id),
      };
    },

    async revokeApiKey(request, context) {
      const caller = getCaller(context.values);
      const apiKey = await store.find(request.id);
      if (apiKey === undefined || exceedsCaller(caller, apiKey) !== undefined) {
        throw new ApiKeyNotFound(request.id);
      }
      await store.revoke(apiKey.id);
      const revoked = (await store.find(apiKey.id)) ?? apiKey;
      return { apiKey: toApiKeyMessage(revoked) };
    },
  };
}

/** Keys a query at the least: a small page must not cost a query for every few keys that are hidden. */
const chunkKeysMin = 500;

/** Reads on until the page is full of keys that the caller may see, and one more shows whether any follow. */
async function listVisible(
  store: ApiKeyStore,
  caller: Caller,
  afterId: string | undefined,
  limit: number,
): Promise<{ page: ApiKey[]; more: boolean }> {
  const visible: ApiKey[] = [];
  const least = mayDoEverything(caller) ? 0 : chunkKeysMin;
  const chunkKeys = Math.max(limit + 1, least);
  for (let after = afterId; ; ) {
    const chunk = await store.list({ afterId: after, limit: chunkKeys });
    visible.push(...chunk.filter((apiKey) => exceedsCaller(caller, apiKey) === undefined));
    if (visible.length > limit) return { page: visible.slice(0, limit), more: true };
    if (chunk.length < chunkKeys) return { page: visible, more: false };
    after = chunk.at(-1)?.id;
  }
}

function toGrant(request: CreateApiKeyRequest): Grant & { displayName: string } {
  return {
    kind: request.kind === ApiKeyKind.SECRET ? 'secret' : 'restricted',
    displayName: request.displayName,
    scopes: request.scopes,
    workspaceIds: request.workspaceIds,
    typePatterns: request.typePatterns,
    // Rounded down: never later than the caller has said, nor than the maker's own end.
    expiresAt: request.expiresAt && toDate('expires_at', request.expiresAt, Math.floor),
  };
}

function toApiKeyMessage(apiKey: ApiKey): MessageInitShape<typeof ApiKeySchema> {
  const { expiresAt, revokedAt, lastUsedAt } = apiKey;
  return {
    id: apiKey.id,
    kind: apiKey.kind === 'secret' ? ApiKeyKind.SECRET : ApiKeyKind.RESTRICTED,
    displayName: apiKey.displayName,
    hint: apiKey.hint,
    scopes: [...apiKey.scopes],
    workspaceIds: [...apiKey.workspaceIds],
    typePatterns: [...apiKey.typePatterns],
    createdAt: timestampFromDate(apiKey.createdAt),
    ...(expiresAt && { expiresAt: timestampFromDate(expiresAt) }),
    ...(revokedAt && { revokedAt: timestampFromDate(revokedAt) }),
    ...(lastUsedAt && { lastUsedAt: timestampFromDate(lastUsedAt) }),
  };
}
