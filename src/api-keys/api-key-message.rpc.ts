import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  ApiKeyKind,
  type ApiKeySchema,
} from '../../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import type {
  CreateApiKeyRequest,
  UpdateApiKeyRequest,
} from '../../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { toRateLimitsMessage } from '../rate-limits/index.ts';
import { toDate } from '../timestamp.ts';
import type { ApiKey } from './api-key.ts';
import type { ApiKeyUpdate } from './api-key-changes-store.ts';
import type { ApiKeyWish } from './issue-api-key.ts';

export function toApiKeyWish(request: CreateApiKeyRequest): ApiKeyWish {
  return {
    kind: request.kind === ApiKeyKind.SECRET ? 'secret' : 'restricted',
    displayName: request.displayName,
    scopes: request.scopes,
    workspaceIds: request.workspaceIds,
    typePatterns: request.typePatterns,
    expiresAt: toExpiry(request),
    rateLimits: request.rateLimits,
  };
}

export function toApiKeyUpdate(request: UpdateApiKeyRequest): ApiKeyUpdate {
  const { displayName, rateLimits } = request;
  return { displayName, expiresAt: toExpiry(request), rateLimits };
}

/** Rounded down: never later than the caller has said, nor than the maker's own end. */
function toExpiry({ expiresAt }: Pick<CreateApiKeyRequest, 'expiresAt'>): Date | undefined {
  return expiresAt && toDate('expires_at', expiresAt, Math.floor);
}

export function toApiKeyMessage(apiKey: ApiKey): MessageInitShape<typeof ApiKeySchema> {
  const { expiresAt, revokedAt, lastUsedAt, oldSecretsExpireAt } = apiKey;
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
    ...(oldSecretsExpireAt && { oldSecretsExpireAt: timestampFromDate(oldSecretsExpireAt) }),
    ...toRateLimitsMessage(apiKey.rateLimits),
  };
}
