import type { ClientBase } from 'pg';
import { createDatabaseClock } from '../../src/database/database-clock.ts';
import type { Statement, StatementRunner } from '../../src/database/statements.ts';
import { createEventLogStore, createEventStore } from '../../src/events/index.ts';
import { buffersIn } from '../plans/explain.ts';
import { withCpuTime } from '../process-facts.ts';
import type { Operation } from './operations.ts';

export interface Cost {
  /** Pages of tables and indexes that PostgreSQL touches, in memory or not. */
  readonly buffers: number;
  /** CPU time of PostgreSQL, in microseconds; undefined where it cannot be told (not Linux). */
  readonly cpuUs: number | undefined;
}

const warmUps = 10;
const explainedTimes = 20;
/** Each step is as far from all before as can be: the golden ratio. */
const stride = 0.6180339887498949;

/** What an operation costs PostgreSQL, at places all over the log. */
export async function measure(client: ClientBase, operation: Operation): Promise<Cost> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const [{ pid }] = rows as [{ pid: number }];
  const log = createEventLogStore(prepared(client));
  const stores = { log, events: createEventStore(prepared(client)) };
  let share = 0;
  const perform = async (times: number) => {
    for (let turn = 0; turn < times; turn++) {
      share = (share + stride) % 1;
      await operation.perform(stores, share);
    }
    return times;
  };
  await perform(warmUps);
  const { cpuUs } = await withCpuTime(
    pid,
    () => perform(operation.times),
    (times) => times,
  );
  const buffers = await countBuffers(client, operation);
  const { parts } = operation;
  return { buffers: buffers / parts, cpuUs: cpuUs === undefined ? undefined : cpuUs / parts };
}

/** Runs statements as the service does, on one connection. */
function prepared(client: ClientBase): StatementRunner {
  return {
    clock: createDatabaseClock(),
    run: async <Row>({ name, text }: Statement, values: unknown[]) =>
      (await client.query({ name, text, values })).rows as Row[],
  };
}

/** Explained, a statement is carried out; what it writes is taken back. */
async function countBuffers(client: ClientBase, operation: Operation): Promise<number> {
  let buffers = 0;
  const explaining: StatementRunner = {
    clock: createDatabaseClock(),
    async run<Row>(statement: Statement, values: unknown[]) {
      await client.query('begin');
      const text = `explain (analyze, buffers, costs off, timing off) ${statement.text}`;
      const { rows } = await client.query<{ 'QUERY PLAN': string }>({ text, values });
      buffers += buffersIn(rows.map((row) => row['QUERY PLAN']));
      await client.query('rollback');
      return prepared(client).run<Row>(statement, values, 0);
    },
  };
  const log = createEventLogStore(explaining);
  await log.readPartitionStarts();
  buffers = 0;
  const stores = { log, events: createEventStore(explaining) };
  for (let turn = 0; turn < explainedTimes; turn++) {
    await operation.perform(stores, (turn * stride) % 1);
  }
  return buffers / explainedTimes;
}
