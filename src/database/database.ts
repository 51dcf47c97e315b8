import { MikroORM } from '@mikro-orm/postgresql';
import type { Pool, PoolClient } from 'pg';
import type { Gauge } from '../gauge.ts';
import { type Observer, unobserved } from '../observer.ts';
import { type Change, createChange } from './changes.ts';
import { createDatabaseClock, type DatabaseClock } from './database-clock.ts';
import { createDirectPool } from './direct-pool.ts';
import { entities } from './entities.ts';
import { poolGauges } from './pool-gauges.ts';
import { observedSession, onConnect, sessionLimits } from './session.ts';
import { createStatementRunner, type StatementRunner } from './statements.ts';
import { createInTransaction, type InTransaction } from './transaction.ts';

export interface DatabaseOptions {
  /** `postgresql://user:password@host:port/database`. */
  readonly url: string;
  /** PostgreSQL itself, where `url` leads to a pooler whose sessions are ours for a transaction alone. */
  readonly directUrl?: string | undefined;
  /** Connections that this process holds at the most. */
  readonly poolSize: number;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** Receives what MikroORM and pg have to say: lost connections, slow starts. */
  readonly onNotice: (message: string) => void;
  /** Is told of each statement that has ended. */
  readonly observer?: Pick<Observer, 'statementEnded'>;
}

/** The service's PostgreSQL: entities for what is not hot, prepared statements for what is. */
export interface Database {
  readonly orm: MikroORM;
  /** Set by the heartbeat. */
  readonly clock: DatabaseClock;
  readonly statements: StatementRunner;
  /** Both together, on one connection: all or nothing. */
  readonly inTransaction: InTransaction;
  /** A transaction for what somebody has asked for, in his turn. */
  readonly change: Change;
  readonly gauges: readonly Gauge[];
  /** A connection for a session of its own; give it back with `release`. */
  connect(): Promise<PoolClient>;
  /** Where a pooler gives out sessions for a transaction alone: a connection to it. */
  readonly pooler: Pick<Pool, 'connect'> | undefined;
  /** Ends every connection; statements that still run are waited for. */
  close(): Promise<void>;
}

/** Waiting for a connection. Longer than it takes in health. */
const connectTimeoutMs = 3_000;

/** Prepares the database's objects; connects when first used. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const connections = {
    Client: observedSession(options.observer ?? unobserved),
    application_name: options.applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
  };
  const ownSessions = { ...connections, onConnect, ...sessionLimits };
  const orm = await MikroORM.init({
    clientUrl: options.url,
    entities,
    // Found through the environment otherwise; the service's config is its only source.
    preferEnvVars: false,
    ensureDatabase: false,
    debug: false,
    logger: options.onNotice,
    colors: false,
    driverOptions: {
      // Whole, for what MikroORM would not take from it, such as sslmode.
      connectionString: options.url,
      max: options.poolSize,
      // Those of a pooler are set by the role: what one of us sets would be another one's.
      ...(options.directUrl === undefined ? ownSessions : connections),
    },
  });
  const pool = (await orm.em.getConnection().getNativeClient()) as Pool;
  const direct =
    options.directUrl === undefined
      ? undefined
      : createDirectPool(options.directUrl, ownSessions, options.onNotice);
  const clock = createDatabaseClock();
  const inTransaction = createInTransaction(orm, pool, clock);
  return {
    orm,
    clock,
    statements: createStatementRunner(pool, clock),
    inTransaction,
    change: createChange(inTransaction),
    gauges: poolGauges(pool, options.poolSize),
    connect: () => (direct ?? pool).connect(),
    pooler: direct && pool,
    async close() {
      await direct?.end();
      await orm.close(true);
      // Kysely ends a pool only after a query of its own has gone through it.
      if (!pool.ending) await pool.end();
    },
  };
}
