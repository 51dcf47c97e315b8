import { setTimeout as delay } from 'node:timers/promises';
import { isTransient } from '../postgres-errors.ts';
import type { SchemaSession } from '../schema-session.ts';
import {
  createPartition,
  type PartitionState,
  readPartitionState,
} from './partition-statements.ts';
import { type PlannedPartition, partitionsFrom, periodsAhead } from './period.ts';

/** Of the 250 ms that an append waits: whoever comes after a change that waits for its lock waits with it. */
const lockTimeoutMs = 200;
const triesMax = 10;
const retryMs = 300;

/** For what runs in a session outside a transaction. */
export async function limitLocks({ query }: SchemaSession): Promise<void> {
  await query(`set lock_timeout = ${lockTimeoutMs}`);
}

/** What is to be made, with the time of now first. */
export function missingIn({ now, period, partitions }: PartitionState): PlannedPartition[] {
  const isThere = ({ from, until }: PlannedPartition) =>
    partitions.some((one) => (one.from === undefined || one.from <= from) && one.until >= until);
  return partitionsFrom(period, now, periodsAhead).filter((planned) => !isThere(planned));
}

/** Each in a transaction of its own, so that none is left that is not attached. */
export async function makeMissing(session: SchemaSession, signal?: AbortSignal): Promise<string[]> {
  const made: string[] = [];
  for (const planned of missingIn(await readPartitionState(session.query))) {
    if (signal?.aborted) break;
    await untilUnlocked(signal, () =>
      session.inTransaction(lockTimeoutMs, () => createPartition(session.query, planned)),
    );
    made.push(planned.name);
  }
  return made;
}

/**
 * One after the other: PostgreSQL begins no removal of a partition while another one waits for its readers.
 *
 * @returns the names of those that are gone; one that is in use, and those after it, stay for a later round.
 */
export async function removeRetiring(
  session: SchemaSession,
  signal?: AbortSignal,
): Promise<string[]> {
  const removed: string[] = [];
  for (const name of inTurn(await readPartitionState(session.query))) {
    if (signal?.aborted) break;
    try {
      await untilUnlocked(signal, () => remove(session, name));
      removed.push(name);
    } catch (error) {
      if (!isTransient(error)) throw error;
      break;
    }
  }
  return removed;
}

/** The one whose removal waits for its readers first. */
function inTurn({ retiring, partitions }: PartitionState): string[] {
  const begun = partitions.filter(({ isDetaching }) => isDetaching).map(({ name }) => name);
  return retiring.toSorted((a, b) => Number(begun.includes(b)) - Number(begun.includes(a)));
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
async function untilUnlocked(
  signal: AbortSignal | undefined,
  change: () => Promise<void>,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await change();
    } catch (error) {
      if (attempt === triesMax || signal?.aborted || !isTransient(error)) throw error;
      await delay(retryMs);
    }
  }
}
