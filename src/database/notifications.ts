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
  /** Ends the session that listens. */
  let hangUp: (() => void) | undefined;
  const notify = { name: `harbor_notify_${channel}`, text: 'select pg_notify($1, $2)' };
  const sendTimeoutMs = 2_000;

  return {
    async send(text) {
      await database.statements.run(notify, [channel, text], sendTimeoutMs);
    },
    async keepListening() {
      if (hangUp !== undefined) return;
      const client = await database.connect();
      let isReleased = false;
      const release = () => {
        if (isReleased) return;
        isReleased = true;
        hangUp = undefined;
        client.release(true);
      };
      hangUp = release;
      client.on('error', release);
      client.on('notification', ({ payload }) => onMessage(payload ?? ''));
      await client.query(`listen ${channel}`).catch((error: unknown) => {
        release();
        throw error;
      });
    },
    close: () => hangUp?.(),
  };
}
