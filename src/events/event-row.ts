import { idOf, remembering } from '../type-id.ts';
import type { Event, Metadata } from './event.ts';
import { RecordedEvent } from './recorded-event.ts';

/**
 * The columns of an event as every statement returns them, but for its workspace; see `toEvents`. What is read in pages is
 * worth it to be lean: each column of 500 rows costs the process some 50 µs. Whole milliseconds are exact as doubles, whose
 * arithmetic costs PostgreSQL less than that of `extract`.
 */
export const eventColumns = `id, type, payload::text as payload_json,
  round(date_part('epoch', created_at) * 1000) as created_at_ms, sequence::float8 as sequence,
  subject, (extract(epoch from occurred_at) * 1000000)::bigint as occurred_at_micros,
  metadata::text as metadata_json, api_key_id,
  round(date_part('epoch', erased_at) * 1000) as erased_at_ms, trace_context`;

export interface EventRow {
  readonly id: string;
  readonly type: string;
  readonly payload_json: string;
  readonly created_at_ms: number;
  readonly sequence: number;
  readonly subject: string | null;
  /** As text, which is how `pg` gives what a double may not hold. */
  readonly occurred_at_micros: string | null;
  readonly metadata_json: string | null;
  readonly api_key_id: string | null;
  readonly erased_at_ms: number | null;
  readonly trace_context: string | null;
}

/** A row of a statement whose events are of several workspaces. */
export interface PlacedEventRow extends EventRow {
  readonly workspace_id: string;
}

/** @param workspaceOf tells it where the statement does not. */
export function toEvents<Row extends EventRow>(
  rows: readonly Row[],
  workspaceOf: (row: Row) => string,
): Event[] {
  const keyIdOf = remembering((uuid) => idOf('key', uuid));
  return rows.map((row) => toEvent(row, workspaceOf(row), keyIdOf));
}

function toEvent(row: EventRow, workspaceId: string, keyIdOf: (uuid: string) => string): Event {
  return new RecordedEvent({
    id: idOf('evt', row.id),
    workspaceId,
    type: row.type,
    subject: row.subject ?? undefined,
    payload: undefined,
    payloadJson: row.payload_json,
    occurredAtMicros: mapped(row.occurred_at_micros, BigInt),
    metadata: mapped(row.metadata_json, (json) => JSON.parse(json) as Metadata),
    createdAt: new Date(row.created_at_ms),
    sequence: row.sequence,
    apiKeyId: mapped(row.api_key_id, keyIdOf),
    erasedAt: mapped(row.erased_at_ms, (ms) => new Date(ms)),
    traceContext: row.trace_context ?? undefined,
  });
}

function mapped<From, To>(value: From | null, convert: (value: From) => To): To | undefined {
  return value === null ? undefined : convert(value);
}
