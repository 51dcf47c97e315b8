import type pg from 'pg';

export const workspaceId = 'ws_plans';
export const rareType = 'audit.rare';
export const beganAt = new Date('2026-01-01T00:00:00.000Z');
/** Events have this distance in time. */
export const everyMs = 10;

const chunkEvents = 500_000;
/** One in a million. */
const rareEvery = 1_000_003;

/** What one event in ten is about. */
export const longSubject = 'everything';
/** What another event is about: ten events, one in a thousand of their time. */
export function subjectOf(sequence: number): string {
  return `inv_${Math.floor(sequence / 10_000) * 1_000 + (sequence % 1_000)}`;
}

/**
 * 200 types in 20 families of 10 (`f00.00` to `f19.09`), skewed like Zipf's: the n-th is n times as rare
 * as the first, so that the first family holds four of ten events, and one type that is rare indeed.
 */
const insert = `
  insert into events (id, workspace_id, sequence, type, subject, payload, payload_bytes, created_at)
  select uuidv7(), '${workspaceId}', n, type, subject, payload::json,
    octet_length(payload) + octet_length(subject),
    $3::timestamptz + n * interval '${everyMs} milliseconds'
  from (
    select n,
      case when n % ${rareEvery} = 0 then '${rareType}'
        else format('f%s.%s', lpad((place / 10)::text, 2, '0'), lpad((place % 10)::text, 2, '0'))
      end as type,
      case when n % 10 = 0 then '${longSubject}' else 'inv_' || n / 10000 * 1000 + n % 1000 end as subject,
      format('{"invoice_id": "inv_%s", "amount_cents": %s, "currency": "EUR"}', n, n % 100000)
        as payload
    from (
      select n, floor(power(201, random()))::int - 1 as place
      from generate_series($1::bigint, $2::bigint) as n
    ) as placed
  ) as filled`;

/** Fills one workspace with events by plain SQL, as the append would have left them. */
export async function fillWorkspace(
  client: pg.Client,
  events: number,
  onProgress: (filled: number) => void,
): Promise<void> {
  await client.query(
    `insert into workspaces (id, display_name, last_sequence, created_at) values ($1, '', $2, now())`,
    [workspaceId, events],
  );
  for (let filled = 0; filled < events; filled += chunkEvents) {
    const last = Math.min(events, filled + chunkEvents);
    await client.query(insert, [filled + 1, last, beganAt]);
    onProgress(last);
  }
  await client.query('vacuum analyze events');
  await client.query('vacuum analyze workspaces');
  await client.query('checkpoint');
}
