import { setTimeout as delay } from 'node:timers/promises';
import { startStatementCounter } from '../../test/support/statement-counter.ts';
import { startObservedServer } from '../log/observed-server.ts';
import type { Stage } from '../stage.ts';
import type { Place } from './place.ts';

export const idleEndpoints = 10_000;
export const idleWorkspaces = 1_000;
const windowMs = 8_000;

/** A fresh process with nothing to do. */
export interface Rest {
  /** In bytes, V8's nursery apart. */
  readonly resident: number;
  /** V8's heap and what hangs on it: steadier, as a start leaves its traces in resident memory. */
  readonly heap: number;
  readonly queriesPerSecond: number;
}

/** The same process without endpoints, and with many at which nothing happens. */
export async function measureIdle(
  stage: Stage,
  place: Place,
): Promise<{ without: Rest; withEndpoints: Rest }> {
  const without = await measureRest(stage);
  await makeIdleEndpoints(stage, place);
  const withEndpoints = await measureRest(stage);
  await removeIdleEndpoints(stage);
  return { without, withEndpoints };
}

async function measureRest(stage: Stage): Promise<Rest> {
  await using counter = await countStatements(stage.databaseUrl);
  await using server = await startObservedServer('service', counter.url);
  await delay(windowMs / 2);
  const before = counter.total();
  await delay(windowMs);
  const queriesPerSecond = (counter.total() - before) / (windowMs / 1000);
  const { rss, nursery, heapUsed, external } = await server.readMemory();
  return { resident: rss - nursery, heap: heapUsed + external, queriesPerSecond };
}

async function countStatements(databaseUrl: string) {
  const counter = await startStatementCounter(databaseUrl);
  return { ...counter, [Symbol.asyncDispose]: () => counter.stop() };
}

/** Copies of one endpoint with all that hangs on it: as many calls would take minutes. */
async function makeIdleEndpoints({ database }: Stage, place: Place): Promise<void> {
  const workspaceId = await place.addWorkspace();
  const [endpoint = ''] = await place.addEndpoints(workspaceId, 1024, 1);
  const client = await database.connect();
  try {
    await client.query('set statement_timeout = 60000');
    await client.query(
      `create temp table idle as select uuidv7() as id, '${prefix}' || n % $1::int as workspace_id
       from generate_series(1, $2::int) n`,
      [idleWorkspaces, idleEndpoints],
    );
    await client.query(
      `insert into workspaces (id, display_name, created_at)
       select distinct workspace_id, '', now() from idle`,
    );
    for (const [table, made] of Object.entries(copies)) {
      await client.query(copyOf(table, made), [workspaceId]);
    }
  } finally {
    client.release(true);
  }
  await place.deleteEndpoints([endpoint]);
}

const prefix = 'ws_idle';

/** What a copy has of its own beside its workspace. */
const copies = {
  webhook_secrets: `'id', uuidv7(), 'endpoint_id', idle.id`,
  webhook_states: `'endpoint_id', idle.id`,
  webhook_cursors: `'id', idle.id, 'endpoint_id', idle.id`,
  // Last, as processes read all of it when they see the endpoint.
  // Long ago, or processes would read all of them once more: that is no rest.
  webhook_endpoints: `'id', idle.id, 'touched_at', now() - interval '1 hour'`,
};

/** The one of the workspace `$1` is the pattern. */
function copyOf(table: string, made: string): string {
  return `insert into ${table} select (jsonb_populate_record(pattern,
    jsonb_build_object('workspace_id', idle.workspace_id, ${made}))).*
    from idle, ${table} pattern where pattern.workspace_id = $1`;
}

async function removeIdleEndpoints({ database }: Stage): Promise<void> {
  const client = await database.connect();
  try {
    for (const table of Object.keys(copies).reverse()) {
      await client.query(`delete from ${table} where workspace_id like '${prefix}%'`);
    }
  } finally {
    client.release(true);
  }
}
