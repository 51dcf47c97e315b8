import { idOf } from '../../type-id.ts';
import type { EndpointStatus, Ordering, WebhookEndpoint } from './webhook-endpoint.ts';

/** A row that `readEndpointsStatement` returns. */
export interface EndpointRow {
  readonly id: string;
  readonly workspace_id: string;
  readonly url: string;
  readonly description: string;
  readonly type_patterns: string[];
  readonly subject: string | null;
  readonly header_names: string[];
  readonly max_in_flight: number;
  readonly max_per_second: number | null;
  readonly timeout_ms: number;
  readonly ordering: Ordering;
  readonly status: EndpointStatus;
  readonly disabled_reason: 'gone' | 'failing' | null;
  readonly status_changed_at: Date;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly api_key_id: string | null;
  readonly position: number;
  readonly lag: number;
  readonly last_success_at: Date | null;
  readonly last_failure_at: Date | null;
  readonly circuit_open_until: Date | null;
  readonly oldest_undelivered_at: Date | null;
}

export function toWebhookEndpoint(row: EndpointRow): WebhookEndpoint {
  return {
    id: idOf('whe', row.id),
    workspaceId: row.workspace_id,
    url: row.url,
    description: row.description,
    typePatterns: row.type_patterns,
    subject: row.subject ?? undefined,
    headerNames: row.header_names,
    maxInFlight: row.max_in_flight,
    maxPerSecond: row.max_per_second ?? undefined,
    timeoutMs: row.timeout_ms,
    ordering: row.ordering,
    status: row.status,
    disabledReason: row.disabled_reason ?? undefined,
    statusChangedAt: row.status_changed_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    apiKeyId: row.api_key_id === null ? undefined : idOf('key', row.api_key_id),
    position: row.position,
    lag: row.lag,
    oldestUndeliveredAt: row.oldest_undelivered_at ?? undefined,
    lastSuccessAt: row.last_success_at ?? undefined,
    lastFailureAt: row.last_failure_at ?? undefined,
    circuitOpenUntil: row.circuit_open_until ?? undefined,
  };
}
