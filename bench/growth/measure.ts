import type { ClientBase } from 'pg';
import { createDatabaseClock } from '../../src/database/database-clock.ts';
import type { Statement, StatementRunner } from '../../src/database/statements.ts';
import { createEventLogStore, createEventStore } from '../../src/events/index.ts';
import type { Stores } from '../plans/cases.ts';
import { buffersIn } from '../plans/explain.ts';
import { readThreadCpuUs } from '../process-facts.ts';
import type { Operation } from './operations.ts';

/** Measures operations on one connection, at places all over the log. */
export interface Meter {
  /**
   * CPU time of PostgreSQL for one, in microseconds; undefined where it cannot be told (not Linux). Each time it is done at
   * other places than before.
   */
  cpuUs(operation: Operation): Promise<number | undefined>;
  /** Pages of tables and indexes that PostgreSQL touches for one, in memory or not. */
  buffers(operation: Operation): Promise<number>;
}

const warmUps = 10;
const explainedTimes = 20;
/** Each step is as far from all before as can be: the golden ratio. */
const stride = 0.6180339887498949;

export async function openMeter(client: ClientBase): Promise<Meter> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const [{ pid }] = rows as [{ pid: number }];
  const stores = storesOn(prepared(client));
  let turn = 0;

  async function perform(operation: Operation, on: Stores, times: number): Promise<void> {
    for (let n = 0; n < times; n++) {
      turn++;
      await operation.perform(on, (turn * stride) % 1);
    }
  }

  return {
    async cpuUs(operation) {
      await perform(operation, stores, warmUps);
      const before = readThreadCpuUs(pid);
      await perform(operation, stores, operation.times);
      const after = readThreadCpuUs(pid);
      if (before === undefined || after === undefined) return undefined;
      return (after - before) / operation.times / operation.parts;
    },

    async buffers(operation) {
      const explaining = explainingEach(client);
      const explained = storesOn(explaining);
      await explained.log.readPartitionStarts();
      explaining.buffers = 0;
      await perform(operation, explained, explainedTimes);
      return explaining.buffers / explainedTimes / operation.parts;
    },
  };
}

function storesOn(runner: StatementRunner): Stores {
  return { log: createEventLogStore(runner), events: createEventStore(runner) };
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
function explainingEach(client: ClientBase): StatementRunner & { buffers: number } {
  const runner = prepared(client);
  return {
    clock: runner.clock,
    buffers: 0,
    async run<Row>(statement: Statement, values: unknown[]) {
      await client.query('begin');
      const text = `explain (analyze, buffers, costs off, timing off) ${statement.text}`;
      const { rows } = await client.query<{ 'QUERY PLAN': string }>({ text, values });
      this.buffers += buffersIn(rows.map((row) => row['QUERY PLAN']));
      await client.query('rollback');
      return runner.run<Row>(statement, values, 0);
    },
  };
}
