import type { Pool } from 'pg';
import type { Gauge } from '../gauge.ts';

/** What the connections of this process do. */
export function poolGauges(
  pool: Pick<Pool, 'totalCount' | 'idleCount' | 'waitingCount'>,
  poolSize: number,
): Gauge[] {
  return [
    {
      name: 'harbor_database_pool_connections',
      help: 'Connections to PostgreSQL that are there, at work or idle',
      label: 'state',
      read: () => ({ busy: pool.totalCount - pool.idleCount, idle: pool.idleCount }),
    },
    {
      name: 'harbor_database_pool_connections_max',
      help: 'Connections that this process holds at the most (DATABASE_POOL_SIZE)',
      read: () => poolSize,
    },
    {
      name: 'harbor_database_pool_waiting',
      help: 'Statements and transactions that wait for a connection',
      read: () => pool.waitingCount,
    },
  ];
}
