import { createEventPartitions } from '../src/database/partitions/event-partitions.ts';
import { createRetention, createRetentionStore, type Retention } from '../src/events/index.ts';
import { createSubject } from './compare-servers.ts';
import { formatCount, measuredCells, measuredHead, type Report, ratioAim } from './report.ts';
import { alternate, median, type Plan, type Subject } from './rounds.ts';
import type { Stage } from './stage.ts';
import { workspaceIds } from './workload.ts';

const pastWorkspaceId = 'ws_past';
/** Past events a measurement, more than can be deleted in it. */
const pastEvents = 100_000;
/** Of which only some say how long their events are kept. */
const idleWorkspaces = 10_000;
const idleRetained = 50;
const never = new AbortController().signal;

/** Creates while events that retention is past are deleted, and what a round costs where nothing is past. */
export async function benchRetention(stage: Stage, plan: Plan): Promise<Report> {
  const { database } = stage;
  const retention = createRetention({
    store: createRetentionStore(database),
    partitions: createEventPartitions(database),
    hasLeft: async () => false,
    report: { onPartitionRetired: () => undefined, onWorkspaceForgotten: () => undefined },
  });
  await run(stage, newWorkspaces, [pastWorkspaceId, idleWorkspaces, idleWorkspaces / idleRetained]);
  const idleMs = await measureIdleRounds(retention, plan.rounds);

  const creates = createSubject(stage, 'service', {
    rpc: 'CreateEvent',
    wire: 'connect json',
    workspaceIds,
  });
  const deleted = { events: 0, ms: 0 };
  const beside: Subject = {
    name: 'while past events are deleted',
    async measure(ms) {
      await run(stage, fillPast, [pastWorkspaceId, pastEvents]);
      const ended = new AbortController();
      const startedAtMs = performance.now();
      const removing = retention.removeRows(ended.signal);
      const measured = await creates.measure(ms);
      ended.abort();
      deleted.events += await removing;
      deleted.ms += performance.now() - startedAtMs;
      // What is left is deleted while nobody is measured.
      await retention.removeRows(never);
      return measured;
    },
  };
  const alone: Subject = { ...creates, name: 'alone' };
  const measured = await alternate(plan, [alone, beside]);
  const rateOf = (name: string) => measured.get(name)?.perSecond ?? Number.NaN;
  return {
    title: 'CreateEvent while retention deletes, 64 in flight',
    table: [
      ['', ...measuredHead],
      ...[...measured].map(([name, one]) => [name, ...measuredCells(one)]),
    ],
    aims: [
      ratioAim(
        'creates while events are deleted, to creates alone',
        rateOf(beside.name) / rateOf('alone'),
        0.8,
      ),
    ],
    notes: [
      `${formatCount((1000 * deleted.events) / deleted.ms)} events a second were deleted. A round over ` +
        `${formatCount(idleWorkspaces)} workspaces, of which ${idleRetained} have a retention and none is past, takes ` +
        `${idleMs.toFixed(1)} ms.`,
    ],
  };
}

async function measureIdleRounds(retention: Retention, rounds: number): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const startedAtMs = performance.now();
    await retention.moveFloors(never);
    await retention.removeRows(never);
    times.push(performance.now() - startedAtMs);
  }
  return median(times.slice(1));
}

async function run({ database }: Stage, text: string, values: unknown[]): Promise<void> {
  const client = await database.connect();
  try {
    await client.query('set statement_timeout = 0');
    // As an object: a text is given up after a few seconds.
    await client.query({ text, values });
  } finally {
    client.release(true);
  }
}

const newWorkspaces = `
  insert into workspaces (id, display_name, created_at, retention_days)
  select $1, '', now(), null::int union all
  select 'ws_idle' || n, '', now(), case when n % $3::int = 0 then 30 end
  from generate_series(1, $2::int) as n`;

/** As the service writes them, in one statement, and below the floor from the start. */
const fillPast = `
  with grown as (
    update workspaces set last_sequence = last_sequence + $2::int,
      first_sequence = last_sequence + $2::int + 1
    where id = $1 returning last_sequence - $2::int as base
  )
  insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at)
  select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
      || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid,
    $1, base + n, 'invoice.paid', payload, octet_length(payload::text), now() - interval '9 days'
  from grown, generate_series(1, $2::int) as n, (
    select json_build_object('invoice_id', 'inv_0192ac4e8b1d', 'text', repeat('x', 150)) as payload
  ) as paid`;
