import { idOf, remembering } from '../type-id.ts';
import type { Event, Metadata } from './event.ts';
import { RecordedEvent } from './recorded-event.ts';

/**
 * The columns of an event as every statement returns them, as texts, but for its workspace; see `toEvents`. What is read in
 * pages is worth it to be lean: each column of 500 rows costs the process some 50 µs. Whole milliseconds are exact as
 * doubles, whose arithmetic costs PostgreSQL less than that of `extract`.
 */
export const eventColumns = `id, type, payload::text as payload_json,
  round(date_part('epoch', created_at) * 1000) as created_at_ms, sequence,
  subject, (extract(epoch from occurred_at) * 1000000)::bigint as occurred_at_micros,
  metadata::text as metadata_json, api_key_id,
  round(date_part('epoch', erased_at) * 1000) as erased_at_ms, trace_context`;

/** What a statement returns beside them comes after them. */
export const eventColumnCount = 11;

/** The texts of `eventColumns`, in their order. */
export type EventRow = readonly [
  id: string,
  type: string,
  payloadJson: string,
  createdAtMs: string,
  sequence: string,
  subject: string | null,
  occurredAtMicros: string | null,
  metadataJson: string | null,
  apiKeyId: string | null,
  erasedAtMs: string | null,
  traceContext: string | null,
];

/** @param workspaceOf tells it where the statement does not. */
export function toEvents<Row extends readonly [...EventRow, ...unknown[]]>(
  rows: readonly Row[],
  workspaceOf: (row: Row) => string,
): Event[] {
  const keyIdOf = remembering((uuid) => idOf('key', uuid));
  return rows.map((row) => toEvent(row, workspaceOf(row), keyIdOf));
}

function toEvent(
  row: readonly [...EventRow, ...unknown[]],
  workspaceId: string,
  keyIdOf: (uuid: string) => string,
): Event {
  return new RecordedEvent({
    id: idOf('evt', row[0]),
    workspaceId,
    type: row[1],
    payload: undefined,
    payloadJson: row[2],
    createdAt: new Date(Number(row[3])),
    sequence: Number(row[4]),
    subject: row[5] ?? undefined,
    occurredAtMicros: mapped(row[6], BigInt),
    metadata: mapped(row[7], (json) => JSON.parse(json) as Metadata),
    apiKeyId: mapped(row[8], keyIdOf),
    erasedAt: mapped(row[9], (ms) => new Date(Number(ms))),
    traceContext: row[10] ?? undefined,
  });
}

function mapped<To>(text: string | null, convert: (text: string) => To): To | undefined {
  return text === null ? undefined : convert(text);
}
