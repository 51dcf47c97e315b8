import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { newId, uuidOf } from '../../../src/type-id.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { Random } from './random.ts';

export interface TransactionWriterOptions {
  readonly databaseUrl: string;
  readonly workspaceId: string;
  readonly acknowledgements: Acknowledgements;
  readonly random: Random;
  readonly signal: AbortSignal;
}

export interface TransactionWriter {
  readonly committed: number;
  readonly rolledBack: number;
  /** Sessions that it ended: its own in a transaction, or one of the service's. */
  readonly terminated: number;
  /** Resolves once `signal` has aborted. */
  readonly ended: Promise<void>;
}

const rollbackShare = 0.03;
const terminateSelfShare = 0.01;
const terminateServiceShare = 0.01;
/** Its transactions hold the counter while they last: the service has to get its turn. */
const pauseMs = 2;

const bump = `
  update workspaces set last_sequence = last_sequence + 1,
    last_event_at = greatest(last_event_at, clock_timestamp())
  where id = $1 returning last_sequence, last_event_at`;
const insert = `
  insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at)
  values ($1, $2, $3, 'log.checked', $4, $5, $6)`;
const terminateService = `
  select pg_terminate_backend(pid) from pg_stat_activity
  where application_name = 'harbor-events' order by random() limit 1`;

/** Runs the append's steps in transactions of SQL, of which some roll back, and some lose their session. */
export function startTransactionWriter(options: TransactionWriterOptions): TransactionWriter {
  const { databaseUrl, workspaceId, acknowledgements, random, signal } = options;
  const counts = { committed: 0, rolledBack: 0, terminated: 0 };
  let turn = 0;

  async function writeOne(client: pg.Client): Promise<void> {
    const key = `transaction ${turn++}`;
    const id = newId('evt');
    const payload = JSON.stringify({ key });
    await client.query('begin');
    const { rows } = await client.query(bump, [workspaceId]);
    const { last_sequence: sequence, last_event_at: createdAt } = rows[0];
    const values = [uuidOf(id), workspaceId, sequence, payload, payload.length, createdAt];
    await client.query(insert, values);
    const chance = random();
    if (chance < terminateSelfShare) {
      counts.terminated++;
      await client.query('select pg_terminate_backend(pg_backend_pid())');
    } else if (chance < terminateSelfShare + rollbackShare) {
      await client.query('rollback');
      counts.rolledBack++;
    } else {
      await client.query('commit');
      counts.committed++;
      acknowledgements.note(key, id);
    }
  }

  async function writeOnConnection(): Promise<void> {
    const client = new pg.Client(databaseUrl);
    client.on('error', () => undefined);
    try {
      await client.connect();
      while (!signal.aborted) {
        await writeOne(client);
        await delay(pauseMs);
        if (random() >= terminateServiceShare) continue;
        await client.query(terminateService);
        counts.terminated++;
      }
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async function write(): Promise<void> {
    while (!signal.aborted) {
      // A session that is lost takes its transaction with it; the next one begins with another event.
      await writeOnConnection().catch(() => delay(20));
    }
  }

  return {
    get committed() {
      return counts.committed;
    },
    get rolledBack() {
      return counts.rolledBack;
    },
    get terminated() {
      return counts.terminated;
    },
    ended: write(),
  };
}
