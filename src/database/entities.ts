import { ApiKeyEntity, ApiKeyOldSecretEntity } from '../api-keys/api-key.entity.ts';
import { AuditRecordEntity } from '../audit/audit-record.entity.ts';
import { IdempotencyKeyEntity } from '../events/append/idempotency-key.entity.ts';
import { EventEntity } from '../events/event.entity.ts';
import {
  WebhookEndpointEntity,
  WebhookSecretEntity,
} from '../webhooks/endpoints/webhook-endpoint.entity.ts';
import { WorkspaceEntity } from '../workspaces/workspace.entity.ts';

/** Every table of the service. */
export const entities = [
  WorkspaceEntity,
  EventEntity,
  IdempotencyKeyEntity,
  ApiKeyEntity,
  ApiKeyOldSecretEntity,
  AuditRecordEntity,
  WebhookEndpointEntity,
  WebhookSecretEntity,
];
