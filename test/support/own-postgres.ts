import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';

/** A PostgreSQL of a test's own, to be killed and started again on the same port. */
export interface OwnPostgres {
  readonly url: string;
  query<Row extends pg.QueryResultRow>(text: string): Promise<Row[]>;
  /** Ends every process of the server as a power cut would, and resolves when they are gone. */
  kill(): Promise<void>;
  /** Ends the server as an operator would. */
  stop(): Promise<void>;
  /** Starts it again, with recovery where it was killed. */
  start(): Promise<void>;
  remove(): Promise<void>;
}

export async function startOwnPostgres(
  settings: Record<string, string> = {},
): Promise<OwnPostgres> {
  const directory = await mkdtemp(join(tmpdir(), 'harbor-own-'));
  const options = { directory, database: 'harbor', settings };
  let server: EmbeddedPostgres = await startEmbeddedPostgres(options);
  const { url } = server;
  const port = Number(new URL(url).port);
  return {
    url,
    async query(text) {
      const client = new pg.Client(url);
      await client.connect();
      try {
        return (await client.query(text)).rows;
      } finally {
        await client.end();
      }
    },
    async kill() {
      server.kill();
      await server.exited;
    },
    stop: () => server.stop(),
    async start() {
      server = await startEmbeddedPostgres({ ...options, port });
    },
    async remove() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
