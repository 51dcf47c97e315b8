import { idOf } from '../../type-id.ts';
import { dateOfMs } from '../row-time.ts';
import type {
  EndpointStatus,
  Ordering,
  StandingReason,
  WebhookEndpoint,
} from './webhook-endpoint.ts';

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
  readonly status_changed_at_ms: number;
  readonly created_at_ms: number;
  readonly updated_at_ms: number;
  readonly api_key_id: string | null;
  readonly position: number;
  readonly lag: number;
  readonly standing_reason: StandingReason | null;
  readonly last_success_at_ms: number | null;
  readonly last_failure_at_ms: number | null;
  readonly circuit_open_until_ms: number | null;
  readonly oldest_undelivered_at_ms: number | null;
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
    statusChangedAt: new Date(row.status_changed_at_ms),
    createdAt: new Date(row.created_at_ms),
    updatedAt: new Date(row.updated_at_ms),
    apiKeyId: row.api_key_id === null ? undefined : idOf('key', row.api_key_id),
    position: row.position,
    lag: row.lag,
    standingReason: row.standing_reason ?? undefined,
    oldestUndeliveredAt: dateOfMs(row.oldest_undelivered_at_ms),
    lastSuccessAt: dateOfMs(row.last_success_at_ms),
    lastFailureAt: dateOfMs(row.last_failure_at_ms),
    circuitOpenUntil: dateOfMs(row.circuit_open_until_ms),
  };
}
