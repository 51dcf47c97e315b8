import { type AddressInfo, createServer, type Socket } from 'node:net';

/** A server that does with each connection what a test says, in bytes. */
export interface ScriptedSocket {
  readonly port: number;
  /** Connections so far, in their order. */
  readonly sockets: readonly Socket[];
  close(): Promise<void>;
}

/** @param begin is called with each connection; its socket is read unless that pauses it. */
export async function startScriptedSocket(
  begin: (socket: Socket) => void,
  host = '127.0.0.1',
): Promise<ScriptedSocket> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.resume();
    begin(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
