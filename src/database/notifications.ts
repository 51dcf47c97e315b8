import type { PoolClient } from 'pg';
import type { Database } from './database.ts';

/** Messages between the processes that share a database. Some may be lost: a poll makes up for them. */
export interface Notifications {
  /** Sends a text of at most 7,999 bytes to the other processes. */
  send(text: string): Promise<void>;
  /** Listens when it does not yet, or no longer: to be called now and then. */
  keepListening(): Promise<void>;
  close(): void;
}

/** NOTIFY takes the name as it is; it must be one word. */
export function createNotifications(
  database: Pick<Database, 'connect' | 'statements'>,
  channel: string,
  onMessage: (text: string) => void,
): Notifications {
  let listener: PoolClient | undefined;
  const notify = { name: `harbor_notify_${channel}`, text: 'select pg_notify($1, $2)' };
  const sendTimeoutMs = 2_000;

  return {
    async send(text) {
      await database.statements.run(notify, [channel, text], sendTimeoutMs);
    },
    async keepListening() {
      if (listener !== undefined) return;
      const client = await database.connect();
      const drop = () => {
        if (listener === client) listener = undefined;
        client.release(true);
      };
      client.once('error', drop);
      client.on('notification', ({ payload }) => onMessage(payload ?? ''));
      try {
        await client.query(`listen ${channel}`);
        listener = client;
      } catch (error) {
        client.off('error', drop);
        client.release(true);
        throw error;
      }
    },
    close() {
      listener?.release(true);
      listener = undefined;
    },
  };
}
