import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';

/** A request as a receiver of webhooks has seen it. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** `webhook-id`. */
  readonly id: string;
  readonly sequence: number;
  readonly attempt: number;
  readonly body: string;
}

/** What a request is answered with: a status, headers besides, or nothing at all. */
export type Reply =
  | number
  | { readonly status: number; readonly headers: Record<string, string> }
  | 'nothing';

export interface Receiver {
  readonly baseUrl: string;
  readonly received: Received[];
  /** How requests are answered from now on; 204 unless set. */
  answer: (received: Received) => Reply | Promise<Reply>;
  /** Requests that are not answered yet, and the most that there were at once, by path. */
  readonly open: ReadonlyMap<string, number>;
  readonly mostOpen: ReadonlyMap<string, number>;
  at(path: string): Received[];
  /** Waits until a path has received so many requests. */
  waitFor(path: string, count: number, timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

/** A receiver of webhooks on loopback. */
export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const open = new Map<string, number>();
  const mostOpen = new Map<string, number>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    const path = request.url ?? '';
    const isOpen = (open.get(path) ?? 0) + 1;
    open.set(path, isOpen);
    mostOpen.set(path, Math.max(isOpen, mostOpen.get(path) ?? 0));
    response.on('close', () => open.set(path, (open.get(path) ?? 1) - 1));
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('end', async () => {
      const one = {
        path,
        headers: request.headers,
        id: String(request.headers['webhook-id']),
        sequence: Number(request.headers['harbor-sequence']),
        attempt: Number(request.headers['harbor-attempt']),
        body: Buffer.concat(chunks).toString('utf8'),
      };
      received.push(one);
      const reply = await receiver.answer(one);
      if (reply === 'nothing') return;
      const { status, headers } =
        typeof reply === 'number' ? { status: reply, headers: {} } : reply;
      response.writeHead(status, headers).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    baseUrl: `http://127.0.0.1:${port}`,
    received,
    answer: () => 204,
    open,
    mostOpen,
    at: (path) => received.filter((one) => one.path === path),
    waitFor: (path, count, timeoutMs = 20_000) =>
      expect
        .poll(() => receiver.at(path).length, { timeout: timeoutMs, interval: 10 })
        .toBeGreaterThanOrEqual(count),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}
