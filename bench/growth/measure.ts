import type { ClientBase } from 'pg';
import { createDatabaseClock } from '../../src/database/database-clock.ts';
import { type Statement, type StatementRunner, toQuery } from '../../src/database/statements.ts';
import { createEventLogStore, createEventStore } from '../../src/events/index.ts';
import type { Stores } from '../plans/cases.ts';
import { buffersIn } from '../plans/explain.ts';
import { readThreadCpuUs } from '../process-facts.ts';
import type { Operation } from './operations.ts';

/** Measures operations on one connection, at places all over the log. */
export interface Meter {
  /**
   * CPU time of PostgreSQL for one, in microseconds, the second time at each of some places, so that caches are warm
   * however long the log; undefined where it cannot be told (not Linux). Each call goes to other places.
   */
  cpuUs(operation: Operation): Promise<number | undefined>;
  /** Pages of tables and indexes that PostgreSQL touches for one, in memory or not. */
  buffers(operation: Operation): Promise<number>;
}

const explainedTimes = 20;
/** Each step is as far from all before as can be: the golden ratio. */
const stride = 0.6180339887498949;

export async function openMeter(client: ClientBase): Promise<Meter> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const [{ pid }] = rows as [{ pid: number }];
  const stores = storesOn(prepared(client));
  let turn = 0;
  const nextShare = () => (++turn * stride) % 1;

  return {
    async cpuUs(operation) {
      let cpuUs: number | undefined = 0;
      for (let n = 0; n < operation.times; n++) {
        const share = nextShare();
        await operation.perform(stores, share);
        const before = readThreadCpuUs(pid);
        await operation.perform(stores, share);
        const after = readThreadCpuUs(pid);
        if (before === undefined || after === undefined) return undefined;
        cpuUs += after - before;
      }
      return cpuUs / operation.times / operation.parts;
    },

    async buffers(operation) {
      const explaining = explainingEach(client);
      const explained = storesOn(explaining);
      await explained.log.readPartitionStarts();
      explaining.buffers = 0;
      for (let n = 0; n < explainedTimes; n++) await operation.perform(explained, nextShare());
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
    run: async <Row>(statement: Statement, values: unknown[]) =>
      (await client.query(toQuery(statement, values))).rows as Row[],
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
