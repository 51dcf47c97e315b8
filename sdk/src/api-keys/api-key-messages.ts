import {
  type ApiKey as ApiKeyMessage,
  ApiKeyKind as Kind,
} from '../../../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import { createOnceOptionNames } from '../create-once.ts';
import {
  parseDate,
  parseTexts,
  parseTypePatterns,
  refuseField,
  requireString,
} from '../events/request-fields.ts';
import { refuseUnknownFields } from '../known-names.ts';
import { dateField, nameOf, parseName, requireDate, requireMessage } from '../message-parts.ts';
import {
  newRateLimitsToMessage,
  rateLimitChangesToMessage,
  rateLimitsFromMessage,
} from '../rate-limits.ts';
import {
  type ApiKey,
  type ApiKeyChanges,
  type ApiKeyKind,
  apiKeyChangeNames,
  type NewApiKey,
  newApiKeyNames,
} from './api-key.ts';

const kinds = { secret: Kind.SECRET, restricted: Kind.RESTRICTED } as const;

export function newApiKeyToMessage(apiKey: NewApiKey, requestId: string) {
  refuseUnknownFields(apiKey, newApiKeyNames, createOnceOptionNames);
  const { displayName, typePatterns } = apiKey;
  return {
    kind: parseKind(apiKey.kind),
    displayName: displayName === undefined ? '' : requireString('displayName', displayName),
    scopes: parseTexts('scopes', apiKey.scopes, 'events:write'),
    workspaceIds: parseTexts('workspaceIds', apiKey.workspaceIds, 'ws_018f3a2e4b9c'),
    typePatterns: parseTypePatterns({ typePatterns }),
    ...parseDate('expiresAt', apiKey.expiresAt),
    ...newRateLimitsToMessage(apiKey.rateLimits),
    requestId,
  };
}

function parseKind(kind: unknown): Kind {
  const parsed = parseName('kind', kinds, kind);
  if (parsed === undefined) throw refuseField('kind', "is missing: 'secret' or 'restricted'.");
  return parsed;
}

export function apiKeyChangesToMessage(id: string, changes: ApiKeyChanges) {
  refuseUnknownFields(changes, apiKeyChangeNames);
  const { displayName } = changes;
  return {
    id: requireString('id', id),
    ...(displayName !== undefined && { displayName: requireString('displayName', displayName) }),
    ...parseDate('expiresAt', changes.expiresAt),
    ...rateLimitChangesToMessage(changes.rateLimits),
  };
}

/** Throws InternalError (RESPONSE_INVALID) when the answer is not whole. */
export function apiKeyFromMessage(given: ApiKeyMessage | undefined): ApiKey {
  const message = requireMessage(given, 'API key');
  return {
    id: message.id,
    kind: nameOf<ApiKeyKind>(kinds, message.kind),
    displayName: message.displayName,
    hint: message.hint,
    scopes: message.scopes,
    workspaceIds: message.workspaceIds,
    typePatterns: message.typePatterns,
    createdAt: requireDate(message.createdAt),
    ...dateField('expiresAt', message.expiresAt),
    ...dateField('revokedAt', message.revokedAt),
    ...dateField('lastUsedAt', message.lastUsedAt),
    ...dateField('oldSecretsExpireAt', message.oldSecretsExpireAt),
    ...rateLimitsFromMessage(message.rateLimits),
  };
}
