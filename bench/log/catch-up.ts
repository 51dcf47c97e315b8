import { withCpuTime } from '../process-facts.ts';
import { median } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import type { Readers } from './readers.ts';

export const caughtUpEvents = 200_000;
const workspaceId = 'ws_benchlog';
const rounds = 3;

/** 200 bytes of JSON each. */
const fill = `
  insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at)
  select uuidv7(), '${workspaceId}', n, 'invoice.paid', payload::json,
    octet_length(payload), now()
  from (
    select n, format(
      '{"invoice_id":"inv_%s","customer":{"id":"cus_7f3a","country":"DE"},"amount_cents":4200,"currency":"EUR","paid":true,"note":"%s"}',
      lpad(n::text, 12, '0'), repeat('x', 77)) as payload
    from generate_series(1, ${caughtUpEvents}) as n
  ) as filled`;

export interface CatchUp {
  readonly perSecond: number;
  /** CPU time of the service an event. */
  readonly serverCpuUs: number | undefined;
}

/** One stream over gRPC from the first event to the last; the median of three. */
export async function measureCatchUp(stage: Stage, readers: Readers): Promise<CatchUp> {
  await fillWorkspace(stage);
  const { pid, port } = await stage.server('service');
  const { secretKey } = stage;
  const job = { kind: 'catch up', port, secretKey, workspaceId, events: caughtUpEvents } as const;
  await readers.run({ ...job, events: caughtUpEvents / 4 }, 60_000);
  const rates: number[] = [];
  const cpuTimes: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const { result, cpuUs } = await withCpuTime(
      pid,
      () => readers.run(job, 120_000),
      () => caughtUpEvents,
    );
    rates.push(result.perSecond);
    if (cpuUs !== undefined) cpuTimes.push(cpuUs);
  }
  return {
    perSecond: median(rates),
    serverCpuUs: cpuTimes.length === 0 ? undefined : median(cpuTimes),
  };
}

async function fillWorkspace({ database }: Stage): Promise<void> {
  const client = await database.connect();
  try {
    await client.query('set statement_timeout = 60000');
    await client.query(fill);
    await client.query(
      `insert into workspaces (id, display_name, last_sequence, created_at)
      values ($1, '', $2, now())`,
      [workspaceId, caughtUpEvents],
    );
  } finally {
    client.release(true);
  }
}
