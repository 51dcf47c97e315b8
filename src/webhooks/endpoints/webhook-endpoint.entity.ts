import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** A row of `webhook_endpoints`. `touchedAt` is when anything about it was changed, for those who send to it. */
export const WebhookEndpointEntity = defineEntity({
  name: 'WebhookEndpoint',
  tableName: 'webhook_endpoints',
  properties: {
    id: p.uuid().primary(),
    workspaceId: p.text().collation('C').primary(),
    url: p.text(),
    description: p.text(),
    typePatterns: p.array().columnType('text[]'),
    subject: p.text().collation('C').nullable(),
    headerNames: p.array().columnType('text[]'),
    /** Encrypted JSON. */
    headers: p.blob().nullable(),
    maxInFlight: p.integer(),
    maxPerSecond: p.integer().nullable(),
    timeoutMs: p.integer(),
    ordering: p.text().$type<'none' | 'workspace' | 'subject'>(),
    status: p.text().$type<'enabled' | 'paused' | 'disabled'>(),
    disabledReason: p.text().$type<'gone' | 'failing'>().nullable(),
    statusChangedAt: p.datetime(3),
    apiKeyId: p.uuid().nullable(),
    requestId: p.text().nullable(),
    requestFingerprint: p.blob().nullable(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
    deletedAt: p.datetime(3).nullable(),
    touchedAt: p
      .datetime(6)
      .defaultRaw('clock_timestamp()')
      .index('webhook_endpoints_touched_at_index'),
  },
  indexes: [{ name: 'webhook_endpoints_workspace_id_index', properties: ['workspaceId', 'id'] }],
  uniques: [
    {
      name: 'webhook_endpoints_request_index',
      properties: ['apiKeyId', 'requestId'],
      where: 'request_id is not null',
    },
  ],
});

export type WebhookEndpointRow = InferEntity<typeof WebhookEndpointEntity>;

/** A row of `webhook_secrets`: a secret that signs until it expires. */
export const WebhookSecretEntity = defineEntity({
  name: 'WebhookSecret',
  tableName: 'webhook_secrets',
  properties: {
    id: p.uuid().primary(),
    workspaceId: p.text().collation('C').primary(),
    endpointId: p.uuid().index('webhook_secrets_endpoint_id_index'),
    ciphertext: p.blob(),
    createdAt: p.datetime(3),
    expiresAt: p.datetime(3).nullable(),
  },
});
