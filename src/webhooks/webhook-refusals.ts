import { refuse } from '../refusal.ts';
import { EncryptionKeyMissing } from './signing/encryption.ts';
import {
  DeliveryNotFound,
  ReplayEnded,
  ReplayNotFound,
  ReplayRangeReversed,
  ReplaysFull,
  WebhookEndpointBusy,
  WebhookEndpointNotEnabled,
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
  refuse(WebhookEndpointBusy, 'resource_exhausted', 'OVERLOADED', () => ({
    retryAfterMs: 1_000,
  })),
  refuse(WebhookEndpointNotEnabled, 'failed_precondition', 'WEBHOOK_ENDPOINT_NOT_ENABLED'),
  refuse(DeliveryNotFound, 'not_found', 'DELIVERY_NOT_FOUND', (e) => ({
    metadata: { delivery_id: e.deliveryId },
  })),
  refuse(ReplayNotFound, 'not_found', 'REPLAY_NOT_FOUND', (e) => ({
    metadata: { replay_id: e.replayId },
  })),
  refuse(ReplayRangeReversed, 'invalid_argument', 'INVALID_REQUEST', (e) => ({
    violation: { field: e.field, description: e.rule },
  })),
  refuse(ReplayEnded, 'failed_precondition', 'REPLAY_ENDED'),
  refuse(ReplaysFull, 'resource_exhausted', 'REPLAYS_FULL', (e) => ({
    metadata: { replays_max: `${e.replaysMax}` },
  })),
  refuse(EncryptionKeyMissing, 'failed_precondition', 'ENCRYPTION_KEY_MISSING'),
];
