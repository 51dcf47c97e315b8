import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Milestones } from './milestones.ts';
import type { Random } from './random.ts';

export interface StallsOptions {
  readonly databaseUrl: string;
  readonly workspaceId: string;
  /** A key that a writer will soon claim. */
  readonly nextKey: () => string;
  readonly progress: Milestones;
  /** Events that are acknowledged between two stalls. */
  readonly everyEvents: number;
  readonly random: Random;
  readonly signal: AbortSignal;
}

export interface Stalls {
  readonly count: number;
  /** Resolves once `signal` has aborted and nobody waits for progress any more. */
  readonly ended: Promise<void>;
}

/** One in three outlasts the service's lock timeout of a second. */
const longMs = 1_300;
const shortMsMax = 300;

const lockCounter = 'select 1 from workspaces where id = $1 for update';
const lockKey = `
  insert into idempotency_keys (workspace_id, key, fingerprint, event_id, created_at, expires_at)
  values ($1, $2, '', gen_random_uuid(), now(), now() + interval '1 hour')
  on conflict do nothing`;

/** Holds the workspace's counter or a key that is wanted, for a while, and gives it back by a rollback. */
export function startStalls(options: StallsOptions): Stalls {
  const { databaseUrl, workspaceId, nextKey, progress, everyEvents, random, signal } = options;
  let count = 0;

  async function stall(): Promise<void> {
    const client = new pg.Client(databaseUrl);
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('begin');
      if (count % 2 === 0) await client.query(lockCounter, [workspaceId]);
      else await client.query(lockKey, [workspaceId, nextKey()]);
      const ms = count % 3 === 2 ? longMs : random() * shortMsMax;
      await client.query('select pg_sleep($1::float8 / 1000)', [ms]);
      count++;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async function stallOnAndOn(): Promise<void> {
    while (!signal.aborted) {
      await progress.reached(progress.count + everyEvents);
      if (!signal.aborted) await stall().catch(() => delay(20));
    }
  }

  return {
    get count() {
      return count;
    },
    ended: stallOnAndOn(),
  };
}
