import { refuse } from '../refusal.ts';
import { EncryptionKeyMissing } from './signing/encryption.ts';
import {
  WebhookEndpointNotFound,
  WebhookEndpointsFull,
  WebhookRequestIdReused,
  WebhookSecretsFull,
  WebhookSettingInvalid,
} from './webhook-errors.ts';

/** What callers are told about endpoints that cannot be made, found or sent to. */
export const webhookRefusals = [
  refuse(WebhookSettingInvalid, 'invalid_argument', 'INVALID_REQUEST', (e) => ({
    violation: { field: e.field, description: e.rule },
  })),
  refuse(WebhookEndpointNotFound, 'not_found', 'WEBHOOK_ENDPOINT_NOT_FOUND', (e) => ({
    metadata: { endpoint_id: e.endpointId },
  })),
  refuse(WebhookEndpointsFull, 'resource_exhausted', 'WEBHOOK_ENDPOINTS_FULL', (e) => ({
    metadata: { endpoints_max: `${e.endpointsMax}` },
  })),
  refuse(WebhookRequestIdReused, 'already_exists', 'REQUEST_ID_REUSED', (e) => ({
    metadata: { id: e.id },
  })),
  refuse(WebhookSecretsFull, 'failed_precondition', 'OLD_SECRETS_FULL', (e) => ({
    metadata: { old_secrets_max: `${e.oldSecretsMax}` },
  })),
  refuse(EncryptionKeyMissing, 'failed_precondition', 'ENCRYPTION_KEY_MISSING'),
];
