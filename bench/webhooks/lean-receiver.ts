import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** Takes webhooks at the least cost, so that the machine is left to those who are measured. */
export interface LeanReceiver {
  readonly port: number;
  readonly count: number;
  /** Resolves when so many have come. */
  reached(count: number): Promise<void>;
}

const answer = 'HTTP/1.1 204 No Content\r\n\r\n';
const headersEnd = '\r\n\r\n';

/** @param onRequest is given the headers as they came. */
export async function startLeanReceiver(
  onRequest: (head: string) => void = () => undefined,
): Promise<LeanReceiver> {
  let count = 0;
  let waiting: { count: number; resolve: () => void }[] = [];

  function take(head: string): void {
    count++;
    onRequest(head);
    if (waiting.length === 0) return;
    for (const one of waiting) if (one.count <= count) one.resolve();
    waiting = waiting.filter((one) => one.count > count);
  }

  const server = createServer((socket) => serve(socket, take)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get count() {
      return count;
    },
    reached(wanted) {
      if (count >= wanted) return Promise.resolve();
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push({ count: wanted, resolve });
      return promise;
    },
  };
}

/** Requests with a Content-Length, one after another. */
function serve(socket: Socket, take: (head: string) => void): void {
  let rest = '';
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  // Of Latin-1, a character is a byte.
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    rest += chunk;
    for (;;) {
      const end = rest.indexOf(headersEnd);
      if (end < 0) return;
      const head = rest.slice(0, end);
      const bytes = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      if (rest.length < end + headersEnd.length + bytes) return;
      rest = rest.slice(end + headersEnd.length + bytes);
      take(head);
      socket.write(answer);
    }
  });
}
