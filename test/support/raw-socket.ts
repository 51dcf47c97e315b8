import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A connection that sends any bytes, and keeps all that came back. */
export interface RawSocket {
  readonly socket: Socket;
  /** Everything received so far, one character a byte. */
  received(): string;
  write(bytes: string | Uint8Array): void;
  /** Resolves with what was received once that matches; rejects when the other side closes before. */
  until(pattern: RegExp): Promise<string>;
  /** Resolves with everything received when the connection has ended. */
  ended(): Promise<string>;
  destroy(): void;
}

export async function openRawSocket(service: { host: string; port: number }): Promise<RawSocket> {
  const socket = connect({ host: service.host, port: service.port, noDelay: true });
  await once(socket, 'connect');
  return wrapSocket(socket);
}

/** @param socket connected, of plain TCP or TLS. */
export function wrapSocket(socket: Socket): RawSocket {
  const chunks: Buffer[] = [];
  const received = () => Buffer.concat(chunks).toString('latin1');
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  // A reset is one way in which the other side closes.
  socket.on('error', () => undefined);
  return {
    socket,
    received,
    write: (bytes) => void socket.write(bytes),
    async until(pattern) {
      while (!pattern.test(received())) {
        if (socket.destroyed) {
          throw new Error(`closed before ${pattern}, after ${JSON.stringify(received())}`);
        }
        await Promise.race([once(socket, 'data').catch(() => undefined), closed]);
      }
      return received();
    },
    async ended() {
      await closed;
      return received();
    },
    destroy: () => void socket.destroy(),
  };
}

/** Sends one text on a connection of its own and returns all of the answer. */
export async function exchangeRaw(
  service: { host: string; port: number },
  text: string | Uint8Array,
): Promise<string> {
  const socket = await openRawSocket(service);
  socket.write(text);
  return socket.ended();
}
