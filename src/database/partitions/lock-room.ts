import type { Database } from '../database.ts';

/** What a connection may have to lock at once does not fit into PostgreSQL's table of locks. */
export class LockTableTooSmall extends Error {
  override readonly name = 'LockTableTooSmall';
}

/** Of each partition, while a page is planned: the table and its four indexes. */
const locksPerPartition = 5;
/** Of everything else that a statement locks. */
const locksBeside = 20;

interface LockRoom {
  readonly partitions: number;
  /** Connections of other processes of the service. */
  readonly others: number;
  /** max_connections, max_prepared_transactions and max_locks_per_transaction. */
  readonly connections: number;
  readonly prepared: number;
  readonly locks: number;
}

/**
 * All connections plan at once whenever a partition has been attached. Beyond its table of locks PostgreSQL fails whatever
 * statement comes, of others too.
 *
 * @throws LockTableTooSmall that says what to set.
 */
export async function assertLocksSuffice(
  { connect }: Pick<Database, 'connect'>,
  poolSize: number,
): Promise<void> {
  const client = await connect();
  try {
    const { rows } = await client.query<LockRoom>(`
      select (select count(*)::int from pg_inherits where inhparent = to_regclass('events')) as partitions,
        (select count(*)::int from pg_stat_activity where datname = current_database()
          and application_name = 'harbor-events' and pid <> pg_backend_pid()) as others,
        current_setting('max_connections')::int as connections,
        current_setting('max_prepared_transactions')::int as prepared,
        current_setting('max_locks_per_transaction')::int as locks`);
    const [room] = rows;
    if (room !== undefined) judge(room, poolSize);
  } finally {
    client.release();
  }
}

function judge(room: LockRoom, poolSize: number): void {
  const { partitions, others, locks, prepared } = room;
  const connections = Math.min(poolSize + others, room.connections);
  const needed = connections * (partitions * locksPerPartition + locksBeside);
  const transactions = room.connections + prepared;
  if (needed <= locks * transactions) return;
  throw new LockTableTooSmall(
    `events are in ${partitions} partitions, and ${connections} connections may lock all of them at once: set ` +
      `max_locks_per_transaction of PostgreSQL to ${Math.ceil(needed / transactions)} or more (it is ${locks}) ` +
      'and start it again, or lower DATABASE_POOL_SIZE',
  );
}
