import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** One address for several processes, as a Service of Kubernetes is: each new connection goes to the next one that is ready. */
export interface Endpoints {
  readonly baseUrl: string;
  add(baseUrl: string): void;
  /** Gets no new connections; those that it has stay. */
  remove(baseUrl: string): void;
  stop(): Promise<void>;
}

export async function startEndpoints(): Promise<Endpoints> {
  const ready: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const next = ready.shift();
    if (next === undefined) {
      near.destroy();
      return;
    }
    ready.push(next);
    const { hostname, port } = new URL(next);
    const far = connect(Number(port), hostname);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => other.destroy());
      socket.on('close', () => sockets.delete(socket));
      socket.pipe(other);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    add: (baseUrl) => void ready.push(baseUrl),
    remove: (baseUrl) => void ready.splice(ready.indexOf(baseUrl), 1),
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
