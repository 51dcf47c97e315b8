import type { Socket } from 'node:net';
import { type PostgresLink, startPostgresLink } from './postgres-link.ts';

/** A TCP proxy before PostgreSQL that can lose an answer, as a network does. */
export interface PostgresProxy extends PostgresLink {
  /**
   * Lets the next statement that holds `text` reach PostgreSQL, and cuts the connection in place of the
   * answer. Resolves when it is cut.
   *
   * @param completion what the answer says when the statement is done, such as `COMMIT`.
   */
  loseAnswerTo(text: string, completion?: string): Promise<void>;
  /** From now on nothing passes on the connections that are open, and neither end is told: half-open. */
  swallow(): void;
}

export async function startPostgresProxy(databaseUrl: string): Promise<PostgresProxy> {
  let armed: { text: string; completion: string; cut: () => void } | undefined;
  let swallowed = new WeakSet<Socket>();
  const open: Socket[] = [];
  const link = await startPostgresLink(databaseUrl, (near, far) => {
    let cutting: typeof armed;
    open.push(near);
    near.on('data', (chunk) => {
      if (swallowed.has(near)) return;
      if (armed !== undefined && chunk.includes(armed.text)) {
        cutting = armed;
        armed = undefined;
      }
      far.write(chunk);
    });
    far.on('data', (chunk) => {
      if (swallowed.has(near)) return;
      if (cutting === undefined) {
        near.write(chunk);
        return;
      }
      // "Command complete": the statement has committed, and nobody hears of it.
      if (!chunk.includes(cutting.completion)) return;
      near.destroy();
      cutting.cut();
    });
  });
  return {
    ...link,
    loseAnswerTo: (text, completion = 'SELECT ') =>
      new Promise((resolve) => {
        armed = { text, completion, cut: resolve };
      }),
    swallow() {
      swallowed = new WeakSet(open);
    },
  };
}
