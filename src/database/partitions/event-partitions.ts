import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database.ts';
import { isTransient } from '../postgres-errors.ts';
import { type SchemaSession, tryWithSchemaLock } from '../schema-session.ts';
import {
  createPartition,
  type EventPartition,
  type PartitionState,
  readPartitionState,
} from './partition-statements.ts';
import { type PlannedPartition, partitionsFrom, periodsAhead } from './period.ts';

/** Of the 250 ms that an append waits: whoever comes after a change that waits for its lock waits with it. */
const lockTimeoutMs = 200;
const triesMax = 10;
const retryMs = 300;
const lookTimeoutMs = 5_000;

/** Which partitions there are, who makes them in time, and how they go. Any process may do all of it. */
export interface EventPartitions {
  /** By their time; those that are being removed are left out. */
  list(): Promise<EventPartition[]>;
  /**
   * Makes the partitions of the database's now and of the three periods after it where they are missing, and
   * ends removals that were begun. Does nothing while somebody else changes the schema.
   *
   * @throws DatabaseUnavailable, the error of `pg` when a partition could not be made.
   */
  keep(): Promise<KeptPartitions>;
  /**
   * Removes a partition with all that is in it, whoever needs it: the caller knows that nobody does. Once this
   * has been noted it happens for certain, by a later `keep` where not now.
   *
   * @returns whether it is gone.
   * @throws DatabaseUnavailable; PartitionInUse when there is none of that name, or it is not past yet.
   */
  retire(name: string): Promise<boolean>;
}

/** What a round has done, by names. */
export interface KeptPartitions {
  readonly made: readonly string[];
  readonly removed: readonly string[];
  /** Noted for removal, and in use by a transaction that began before. */
  readonly waiting: readonly string[];
}

/** Events may still come to this partition, or there is none of that name. */
export class PartitionInUse extends Error {
  override readonly name = 'PartitionInUse';

  constructor(partition: string) {
    super(`${partition} is no partition of events that is past`);
  }
}

export function createEventPartitions(
  database: Pick<Database, 'connect' | 'statements'>,
): EventPartitions {
  const look = () =>
    readPartitionState((text) =>
      database.statements.run({ name: 'harbor_partition_state', text }, [], lookTimeoutMs),
    );

  async function keep(): Promise<KeptPartitions> {
    const state = await look();
    const kept = { made: [] as string[], removed: [] as string[], waiting: state.retiring };
    if (missingIn(state).length === 0 && state.retiring.length === 0) return kept;
    await tryWithSchemaLock(database, async (session) => {
      await session.query(`set lock_timeout = ${lockTimeoutMs}`);
      kept.made = await makeMissing(session);
      kept.removed = await removeRetiring(session);
      kept.waiting = kept.waiting.filter((name) => !kept.removed.includes(name));
    });
    return kept;
  }

  return {
    async list() {
      const { partitions, retiring } = await look();
      return partitions.filter(({ name }) => !retiring.includes(name));
    },
    keep,
    async retire(name) {
      const { now, partitions } = await look();
      const found = partitions.find((partition) => partition.name === name);
      if (found === undefined || found.until > now) throw new PartitionInUse(name);
      await database.statements.run(noteStatement, [name], lookTimeoutMs);
      return (await keep()).removed.includes(name);
    },
  };
}

const noteStatement = {
  name: 'harbor_retire_partition',
  text: 'insert into retiring_event_partitions (name) values ($1) on conflict do nothing',
};

/** What is to be made, with the time of now first. */
function missingIn({ now, period, partitions }: PartitionState): PlannedPartition[] {
  const isThere = ({ from, until }: PlannedPartition) =>
    partitions.some((one) => (one.from === undefined || one.from <= from) && one.until >= until);
  return partitionsFrom(period, now, periodsAhead).filter((planned) => !isThere(planned));
}

/** Each in a transaction of its own, so that none is left that is not attached. */
async function makeMissing(session: SchemaSession): Promise<string[]> {
  const missing = missingIn(await readPartitionState(session.query));
  for (const planned of missing) {
    await untilUnlocked(() =>
      session.inTransaction(lockTimeoutMs, () => createPartition(session.query, planned)),
    );
  }
  return missing.map(({ name }) => name);
}

/** @returns the names of those that are gone; one that is in use stays for a later round. */
async function removeRetiring(session: SchemaSession): Promise<string[]> {
  const { retiring } = await readPartitionState(session.query);
  const removed: string[] = [];
  for (const name of retiring) {
    try {
      await untilUnlocked(() => remove(session, name));
      removed.push(name);
    } catch (error) {
      if (!isTransient(error)) throw error;
    }
  }
  return removed;
}

/**
 * Detaches, drops, and forgets; killed after any of these, the next round goes on. Detached concurrently, it waits for
 * the transactions that may read it, and locks nobody out meanwhile.
 */
async function remove({ query }: SchemaSession, name: string): Promise<void> {
  const { partitions } = await readPartitionState(query);
  const attached = partitions.find((partition) => partition.name === name);
  if (attached !== undefined) {
    const how = attached.isDetaching ? 'finalize' : 'concurrently';
    await query(`alter table events detach partition ${quoted(name)} ${how}`);
  }
  await query(`drop table if exists ${quoted(name)}`);
  await query('delete from retiring_event_partitions where name = $1', [name]);
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** @throws what PostgreSQL said when a lock could not be had ten times. */
async function untilUnlocked(change: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await change();
    } catch (error) {
      if (attempt === triesMax || !isTransient(error)) throw error;
      await delay(retryMs);
    }
  }
}
