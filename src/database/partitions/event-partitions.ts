import type { Database } from '../database.ts';
import { tryWithSchemaLock } from '../schema-session.ts';
import { limitLocks, makeMissing, missingIn, removeRetiring } from './partition-changes.ts';
import { type EventPartition, readPartitionState } from './partition-statements.ts';
import type { PartitionPeriod } from './period.ts';

const lookTimeoutMs = 5_000;

/** Which partitions there are, who makes them in time, and how they go. Any process may do all of it. */
export interface EventPartitions {
  /** Chosen when events were first put into partitions, for as long as the database lives. */
  period(): Promise<PartitionPeriod>;
  /** By their time; those that are being removed are left out. */
  list(): Promise<EventPartition[]>;
  /**
   * Makes the partitions of the database's now and of the three periods after it where they are missing, and
   * ends removals that were begun. Does nothing while somebody else changes the schema. Ends early when `signal`
   * aborts; another round goes on.
   *
   * @throws DatabaseUnavailable, the error of `pg` when a partition could not be made.
   */
  keep(signal?: AbortSignal): Promise<KeptPartitions>;
  /**
   * Removes a partition with all that is in it, whoever needs it: the caller knows that nobody does. Once this
   * has been noted it happens for certain, by a later `keep` where not now.
   *
   * @returns whether it is gone, by whomever.
   * @throws DatabaseUnavailable; PartitionInUse when the table of that name is no partition, or is not past yet.
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

/** Events may still come to this partition, or it is none. */
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

  async function isThere(name: string): Promise<boolean> {
    const values = [name];
    const [row] = await database.statements.run<{ is_there: boolean }>(
      isThereStatement,
      values,
      lookTimeoutMs,
    );
    return row?.is_there === true;
  }

  async function keep(signal?: AbortSignal): Promise<KeptPartitions> {
    const state = await look();
    const kept = { made: [] as string[], removed: [] as string[], waiting: state.retiring };
    if (missingIn(state).length === 0 && state.retiring.length === 0) return kept;
    await tryWithSchemaLock(database, async (session) => {
      await limitLocks(session);
      kept.made = await makeMissing(session, signal);
      kept.removed = await removeRetiring(session, signal);
      kept.waiting = kept.waiting.filter((name) => !kept.removed.includes(name));
    });
    return kept;
  }

  return {
    period: async () => (await look()).period,
    async list() {
      const { partitions, retiring } = await look();
      return partitions.filter(({ name }) => !retiring.includes(name));
    },
    keep,
    async retire(name) {
      const { now, partitions } = await look();
      const found = partitions.find((partition) => partition.name === name);
      if (found === undefined && !(await isThere(name))) return true;
      if (found === undefined || found.until > now) throw new PartitionInUse(name);
      await database.statements.run(noteStatement, [name], lookTimeoutMs);
      return (await keep()).removed.includes(name);
    },
  };
}

const isThereStatement = {
  name: 'harbor_is_partition_there',
  text: 'select to_regclass(quote_ident($1)) is not null as is_there',
};
const noteStatement = {
  name: 'harbor_retire_partition',
  text: 'insert into retiring_event_partitions (name) values ($1) on conflict do nothing',
};
