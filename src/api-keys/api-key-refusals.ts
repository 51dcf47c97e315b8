import { refuse } from '../refusal.ts';
import {
  ApiKeyContradictory,
  ApiKeyExceedsCaller,
  ApiKeyInvalid,
  ApiKeyLookUpsFull,
  ApiKeyMissing,
  ApiKeyNotActive,
  ApiKeyNotFound,
  EventTypeNotAllowed,
  OldSecretsFull,
  RequestIdReused,
  ScopeMissing,
  WorkspaceNotAllowed,
} from './api-key-errors.ts';

/** What callers are told when a key is missing, allows too little, or cannot be made or found. */
export const apiKeyRefusals = [
  refuse(ApiKeyMissing, 'unauthenticated', 'API_KEY_MISSING'),
  refuse(ApiKeyInvalid, 'unauthenticated', 'API_KEY_INVALID'),
  refuse(ApiKeyLookUpsFull, 'resource_exhausted', 'OVERLOADED', () => ({ retryAfterMs: 1_000 })),
  refuse(ScopeMissing, 'permission_denied', 'SCOPE_MISSING', (e) => ({
    metadata: { scope: e.scope },
  })),
  refuse(WorkspaceNotAllowed, 'permission_denied', 'WORKSPACE_NOT_ALLOWED', (e) => ({
    metadata: { workspace_id: e.workspaceId },
  })),
  refuse(EventTypeNotAllowed, 'permission_denied', 'EVENT_TYPE_NOT_ALLOWED', (e) => ({
    metadata: { type: e.type },
  })),
  refuse(ApiKeyExceedsCaller, 'permission_denied', 'API_KEY_EXCEEDS_CALLER', (e) => ({
    metadata: { exceeds: e.exceeds },
  })),
  refuse(ApiKeyContradictory, 'invalid_argument', 'INVALID_REQUEST', (e) => ({
    violation: { field: e.field, description: e.rule },
  })),
  refuse(ApiKeyNotFound, 'not_found', 'API_KEY_NOT_FOUND', (e) => ({
    metadata: { api_key_id: e.apiKeyId },
  })),
  refuse(ApiKeyNotActive, 'failed_precondition', 'API_KEY_NOT_ACTIVE'),
  refuse(OldSecretsFull, 'failed_precondition', 'OLD_SECRETS_FULL', (e) => ({
    metadata: { old_secrets_max: `${e.oldSecretsMax}` },
  })),
  refuse(RequestIdReused, 'already_exists', 'REQUEST_ID_REUSED', (e) => ({
    metadata: { api_key_id: e.apiKeyId },
  })),
];
