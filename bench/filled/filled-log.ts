import type { ClientBase } from 'pg';

/** A log by years: half of all events are of one workspace, the others of 63 more, in between. */
export interface FilledLog {
  readonly workspaceId: string;
  /** The newest sequence of the workspace. */
  readonly last: number;
  /** When the event with a sequence was created. */
  timeOf(sequence: number): Date;
}

/** Where events begin and end in time, evenly spread. */
export interface Span {
  readonly beganAt: Date;
  readonly endsAt: Date;
}

const workspaceId = 'ws_filled';
export const rareType = 'audit.rare';
/** One in a million. */
const rareEvery = 1_000_003;
/** What one event in ten is about. */
export const longSubject = 'everything';
/** What another event is about: ten events, one in a thousand of their time. */
export function subjectOf(sequence: number): string {
  return `inv_${Math.floor(sequence / 10_000) * 1_000 + (sequence % 1_000)}`;
}

const chunkEvents = 250_000;

/**
 * 200 types in 20 families of 10 (`f00.00` to `f19.09`), skewed like Zipf's: the n-th is n times as rare
 * as the first, so that the first family holds four of ten events, and one type that is rare indeed.
 */
const insert = `
  insert into events
    (id, workspace_id, sequence, type, subject, payload, payload_bytes, created_at, api_key_id)
  select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' ||
      substr(random_hex, 1, 3) || '8' || substr(random_hex, 4, 15))::uuid,
    workspace_id, sequence, type, subject, payload::json,
    octet_length(payload) + octet_length(subject), at, '0192f0c1-0000-7000-8000-000000000001'
  from (
    select workspace_id, sequence, at, md5(random()::text) as random_hex,
      case when sequence % ${rareEvery} = 0 then '${rareType}'
        else format('f%s.%s', lpad((place / 10)::text, 2, '0'), lpad((place % 10)::text, 2, '0'))
      end as type,
      case when sequence % 10 = 0 then '${longSubject}'
        else 'inv_' || sequence / 10000 * 1000 + sequence % 1000 end as subject,
      format('{"invoice_id": "inv_%s", "amount_cents": %s, "currency": "EUR"}',
        sequence, sequence % 100000) as payload
    from (
      select
        case when n % 2 = 0 then '${workspaceId}' else 'ws_other' || n / 2 % 63 end as workspace_id,
        case when n % 2 = 0 then n / 2 else n / 2 / 63 + 1 end as sequence,
        date_trunc('milliseconds', $3::timestamptz + n * $4::float8 * interval '1 millisecond') as at,
        floor(power(201, random()))::int - 1 as place
      from generate_series($1::bigint, $2::bigint) as n
    ) as placed
  ) as filled
  order by at`;

/** Fills an empty log by plain SQL, as the append would have left it. */
export async function fillLog(
  client: ClientBase,
  { events, beganAt, endsAt }: Span & { readonly events: number },
  onProgress: (filled: number) => void,
): Promise<FilledLog> {
  const everyMs = (endsAt.getTime() - beganAt.getTime()) / (events + 1);
  for (let filled = 0; filled < events; filled += chunkEvents) {
    const last = Math.min(events, filled + chunkEvents);
    await client.query(insert, [filled + 1, last, beganAt, everyMs]);
    onProgress(last);
  }
  await client.query(`
    insert into workspaces (id, display_name, last_sequence, last_event_at, created_at)
    select workspace_id, '', max(sequence), max(created_at), min(created_at) from events group by 1`);
  await client.query('vacuum analyze events');
  await client.query('vacuum analyze workspaces');
  await client.query('checkpoint');
  return {
    workspaceId,
    last: Math.floor(events / 2),
    timeOf: (sequence) => new Date(Math.floor(beganAt.getTime() + 2 * sequence * everyMs)),
  };
}
