import type { PoolClient } from 'pg';
import { DatabaseUnavailable } from '../database-unavailable.ts';
import type { Database } from './database.ts';
import { isConnectionLost } from './postgres-errors.ts';

/** Messages between the processes that share a database. Some may be lost: a poll makes up for them. */
export interface Notifications {
  /** Sends a text of at most 7,999 bytes to the other processes. */
  send(text: string): Promise<void>;
  /**
   * Listens when it does not yet, or no longer, and asks now and then whether PostgreSQL still answers
   * where it listens: to be called once a second.
   *
   * @throws when it does not listen; the next call tries again.
   */
  keepListening(): Promise<void>;
  close(): void;
}

export interface NotificationOptions {
  /** NOTIFY takes the name as it is; it must be one word. */
  readonly channel: string;
  readonly onMessage: (text: string) => void;
  /**
   * Silence after which the session that listens is asked something. Nothing is ever sent on it, so that a
   * connection which the network has dropped would look for a quarter of an hour as if nobody had
   * anything to tell. With the time for an answer that is noticed within 15 s.
   */
  readonly askAfterMs?: number;
  readonly answerTimeoutMs?: number;
}

const sendTimeoutMs = 2_000;

export function createNotifications(
  database: Pick<Database, 'connect' | 'statements'>,
  { channel, onMessage, askAfterMs = 10_000, answerTimeoutMs = 5_000 }: NotificationOptions,
): Notifications {
  const notify = { name: `harbor_notify_${channel}`, text: 'select pg_notify($1, $2)' };
  let session: ListeningSession | undefined;

  async function begin(): Promise<void> {
    const client = await database.connect().catch((cause: unknown) => {
      if (cause instanceof DatabaseUnavailable) throw cause;
      throw new DatabaseUnavailable('PostgreSQL cannot be reached', { sent: false, cause });
    });
    const begun = new ListeningSession(client, onMessage, () => {
      if (session === begun) session = undefined;
    });
    session = begun;
    await begun.ask(`listen ${channel}`, answerTimeoutMs);
  }

  return {
    async send(text) {
      await database.statements.run(notify, [channel, text], sendTimeoutMs);
    },
    async keepListening() {
      if (session === undefined) await begin();
      else if (session.silentMs >= askAfterMs) await session.ask('select 1', answerTimeoutMs);
    },
    close: () => session?.end(),
  };
}

/** A connection of its own, destroyed at its end. */
class ListeningSession {
  readonly #client: PoolClient;
  readonly #onEnd: () => void;
  #lastHeardMs = performance.now();
  #isEnded = false;

  constructor(client: PoolClient, onMessage: (text: string) => void, onEnd: () => void) {
    this.#client = client;
    this.#onEnd = onEnd;
    client.on('error', () => this.end());
    client.on('notification', ({ payload }) => {
      this.#lastHeardMs = performance.now();
      onMessage(payload ?? '');
    });
  }

  get silentMs(): number {
    return performance.now() - this.#lastHeardMs;
  }

  /** @throws DatabaseUnavailable, or what PostgreSQL says; the session has ended then. */
  async ask(text: string, timeoutMs: number): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      late.reject(new DatabaseUnavailable('nobody answers where it listens', { sent: true }));
    }, timeoutMs);
    const answer = this.#client.query(text);
    answer.catch(() => undefined);
    try {
      await Promise.race([answer, late.promise]);
      this.#lastHeardMs = performance.now();
    } catch (error) {
      this.end();
      if (error instanceof DatabaseUnavailable || !isConnectionLost(error)) throw error;
      throw new DatabaseUnavailable('the connection that listens was lost', {
        sent: true,
        cause: error,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#onEnd();
    this.#client.release(true);
  }
}
