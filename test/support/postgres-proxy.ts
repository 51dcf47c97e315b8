import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy before PostgreSQL that can lose an answer, as a network does. */
export interface PostgresProxy {
  /** `databaseUrl` through the proxy. */
  readonly url: string;
  /**
   * Lets the next statement that holds `text` reach PostgreSQL, and cuts the connection in place of the
   * answer. Resolves when it is cut.
   */
  loseAnswerTo(text: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startPostgresProxy(databaseUrl: string): Promise<PostgresProxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let armed: { text: string; cut: () => void } | undefined;

  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    let cutting: (() => void) | undefined;
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on('data', (chunk) => {
      if (armed !== undefined && chunk.includes(armed.text)) {
        cutting = armed.cut;
        armed = undefined;
      }
      far.write(chunk);
    });
    far.on('data', (chunk) => {
      if (cutting === undefined) {
        near.write(chunk);
        return;
      }
      // "Command complete": the statement has committed, and nobody hears of it.
      if (!chunk.includes('SELECT ')) return;
      near.destroy();
      cutting();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    loseAnswerTo: (text) =>
      new Promise((resolve) => {
        armed = { text, cut: resolve };
      }),
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
