import { type AddressInfo, createServer, type Socket } from 'node:net';

/** Listens on every address of the machine, and tells of whoever came. */
export interface Canary {
  readonly port: number;
  /** Connections so far. */
  readonly connections: number;
  close(): Promise<void>;
}

/** Hangs up on everybody. */
export async function startCanary(): Promise<Canary> {
  let connections = 0;
  const server = createServer((socket: Socket) => {
    connections++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '::', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
