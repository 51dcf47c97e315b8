import pg from 'pg';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { createPartition } from '../../src/database/partitions/partition-statements.ts';
import { partitionsFrom, periodsAhead } from '../../src/database/partitions/period.ts';
import type { Span } from './filled-log.ts';

/** A database of its own whose table of events has so many partitions, of a month each. */
export interface PartitionedDatabase extends AsyncDisposable {
  readonly url: string;
  readonly database: Database;
  /** From the beginning of the first partition until now. */
  readonly span: Span;
}

/** @param serverUrl of a PostgreSQL whose user may create databases; disposing drops this one. */
export async function openPartitionedDatabase(
  serverUrl: string,
  partitions: number,
  name = `partitions_${partitions}`,
): Promise<PartitionedDatabase> {
  await using cleanup = new AsyncDisposableStack();
  await runOn(serverUrl, `create database ${name}`);
  cleanup.defer(async () => void (await runOn(serverUrl, `drop database ${name} with (force)`)));
  const location = new URL(serverUrl);
  location.pathname = `/${name}`;
  const url = location.href;
  const database = await openDatabase({
    url,
    poolSize: 2,
    applicationName: 'harbor-bench-filled',
    onNotice: () => undefined,
  });
  cleanup.defer(() => database.close());
  await migrate(database, { eventPartitions: 'month' });
  const endsAt = new Date();
  const past = partitions - periodsAhead - 1;
  const beganAt = new Date(Date.UTC(endsAt.getUTCFullYear(), endsAt.getUTCMonth() - past));
  for (const planned of partitionsFrom('month', beganAt, past - 1)) {
    await createPartition((text) => runOn(url, text), planned);
  }
  const kept = cleanup.move();
  return {
    url,
    database,
    span: { beganAt, endsAt },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function runOn(url: string, text: string): Promise<never[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query(text);
    return [];
  } finally {
    await client.end();
  }
}
