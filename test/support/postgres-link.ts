import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP hop before PostgreSQL, on which tests watch or lose what passes. */
export interface PostgresLink {
  /** `databaseUrl` by way of the hop. */
  readonly url: string;
  /** Ends every connection and the hop. */
  stop(): Promise<void>;
}

/** @param join carries what passes between the service (`near`) and PostgreSQL (`far`); they end together. */
export async function startPostgresLink(
  databaseUrl: string,
  join: (near: Socket, far: Socket) => void,
): Promise<PostgresLink> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
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
    join(near, far);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
