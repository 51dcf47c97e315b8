import { DriverException, type EntityManager, type MikroORM } from '@mikro-orm/postgresql';
import { Kysely, PostgresDialect } from 'kysely';
import type { Pool, PoolClient, QueryConfig, QueryResult } from 'pg';
import { connect, createDeadline, type Deadline, onUsefulSession } from './connection.ts';
import { isConnectionLost, toDatabaseError } from './postgres-errors.ts';
import { entityTimeoutMs } from './session.ts';
import { type Statement, type StatementRunner, toQuery } from './statements.ts';

/**
 * One transaction on one connection, the first argument of everything that belongs together: all of it is
 * on disk, or nothing.
 */
export interface Transaction {
  /** Its entities, of this transaction alone. What was persisted is flushed before the commit. */
  readonly em: EntityManager;
  readonly clock: StatementRunner['clock'];
  /**
   * Runs a prepared statement with real parameters, those of `binary-arrays.ts` included. As it is the `run` of a
   * `StatementRunner`, a store that is made with a transaction works in it.
   *
   * @throws DatabaseUnavailable, DatabaseContended, or the error of `pg` with its SQLSTATE; the transaction
   * can only be rolled back then.
   */
  run<Row>(statement: Statement, values: unknown[]): Promise<Row[]>;
}

/**
 * Carries out `work` in a transaction: commits what it did when it returns, and rolls it back when it
 * throws, whose error is passed on. `work` changes nothing but the database through its transaction: where the
 * session turns out to be of no use, as after a failover, it is called again with a new one. Whatever it leaves running is
 * refused after its end.
 *
 * @param timeoutMs for a connection, the work and the commit together, 5 s unless given; past it the connection is
 * destroyed.
 * @throws DatabaseUnavailable when there is no connection, or it is lost, or the time is up; `sent` tells
 * that the commit was under way, so that the outcome is unknown.
 * @throws DatabaseContended when PostgreSQL gave it up for another transaction; nothing was written.
 */
export type InTransaction = <T>(
  work: (tx: Transaction) => Promise<T>,
  timeoutMs?: number,
) => Promise<T>;

export function createInTransaction(
  orm: MikroORM,
  pool: Pool,
  clock: Transaction['clock'],
): InTransaction {
  const source = { orm, clock };
  async function runOnce<T>(work: (tx: Transaction) => Promise<T>, timeoutMs: number): Promise<T> {
    const deadline = createDeadline(timeoutMs);
    try {
      const session = new TransactionSession(await connect(pool, deadline));
      try {
        return await Promise.race([carryOut(source, session, deadline, work), deadline.passed]);
      } finally {
        session.giveBack();
      }
    } finally {
      deadline.clear();
    }
  }

  return (work, timeoutMs = entityTimeoutMs) =>
    onUsefulSession(pool, timeoutMs, (leftMs) => runOnce(work, leftMs));
}

/** What a transaction is made of, beside its connection. */
interface Source {
  readonly orm: MikroORM;
  readonly clock: Transaction['clock'];
}

async function carryOut<T>(
  source: Source,
  session: TransactionSession,
  deadline: Deadline,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  try {
    const tx = await begin(source, session);
    const result = await work(tx);
    await tx.em.flush();
    deadline.isSent = true;
    await session.commit();
    return result;
  } catch (error) {
    // Told as such, whatever `work` made of it.
    if (session.lostBy !== undefined) throw toDatabaseError(session.lostBy, deadline.isSent);
    await session.rollback();
    throw error instanceof DriverException ? toDatabaseError(error) : error;
  }
}

/** MikroORM knows a transaction as one of Kysely's; this one has a single connection, which is ours. */
async function begin({ orm, clock }: Source, session: TransactionSession): Promise<Transaction> {
  const pool = { connect: async () => session, end: async () => undefined, options: {} };
  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  const begun = await kysely.startTransaction().execute();
  const em = orm.em.fork();
  em.setTransactionContext(begun);
  return {
    em,
    clock,
    run: (statement, values) => session.run(statement, values),
  };
}

/** A connection for as long as one transaction has it. */
class TransactionSession {
  /** The error by which the connection was lost. */
  lostBy: unknown;
  readonly #client: PoolClient;
  /** The first error of a statement. */
  #failure: unknown;
  #unanswered = 0;
  #isEnding = false;

  constructor(client: PoolClient) {
    this.#client = client;
  }

  /** What Kysely, and through it MikroORM, calls. */
  // biome-ignore lint/suspicious/noExplicitAny: Kysely declares a second way to ask, by a cursor, which nobody takes
  query(text: any, values: any = []): any {
    this.#assertOpen();
    return this.#send({ text, values: [...values] });
  }

  /** Kysely gives back what is not Kysely's. */
  release(): void {}

  async run<Row>(statement: Statement, values: unknown[]): Promise<Row[]> {
    this.#assertOpen();
    try {
      return (await this.#send(toQuery(statement, values))).rows as Row[];
    } catch (error) {
      throw toDatabaseError(error, false);
    }
  }

  async commit(): Promise<void> {
    this.#isEnding = true;
    const { command } = await this.#send({ text: 'commit' });
    // PostgreSQL answers so, and without an error, where a statement had failed.
    if (command === 'COMMIT') return;
    throw new Error('nothing was committed, since a statement had failed and nobody said so', {
      cause: this.#failure,
    });
  }

  /** When it fails, the connection is destroyed, and PostgreSQL rolls back by itself. */
  async rollback(): Promise<void> {
    this.#isEnding = true;
    await this.#send({ text: 'rollback' }).catch(() => undefined);
  }

  /** To the pool when the transaction has certainly ended; it is destroyed otherwise, since late answers may come. */
  giveBack(): void {
    this.#isEnding = true;
    const isIdle = this.#unanswered === 0 && this.#client.getTransactionStatus() === 'I';
    this.#client.release(!isIdle);
  }

  #assertOpen(): void {
    if (this.#isEnding) throw new Error('the transaction of this statement has ended');
  }

  async #send(query: QueryConfig): Promise<QueryResult> {
    this.#unanswered++;
    try {
      return await this.#client.query(query);
    } catch (error) {
      this.#failure ??= error;
      if (isConnectionLost(error)) this.lostBy ??= error;
      throw error;
    } finally {
      this.#unanswered--;
    }
  }
}
