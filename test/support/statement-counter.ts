import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy before PostgreSQL that counts how often each prepared statement is run. */
export interface StatementCounter {
  /** `databaseUrl` through the proxy. */
  readonly url: string;
  /** Runs so far of the statement with this name. */
  count(name: string): number;
  stop(): Promise<void>;
}

/** A Bind message: its length, the unnamed portal, the statement's name. */
const bind = /B[\s\S]{4}\0(harbor_\w+)\0/g;

export async function startStatementCounter(databaseUrl: string): Promise<StatementCounter> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const counts = new Map<string, number>();

  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
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
      for (const [, name = ''] of chunk.toString('latin1').matchAll(bind)) {
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
    });
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    count: (name) => counts.get(name) ?? 0,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
