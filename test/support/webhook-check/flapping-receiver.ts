import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Random } from '../log-checker/random.ts';
import { type Arrival, type ArrivalBook, createArrivalBook } from './arrivals.ts';
import { answers, type Misbehaviour, silences } from './misbehaviour.ts';

/** A receiver that often fails, in every way there is, and remembers what it has accepted. */
export interface FlappingReceiver {
  readonly baseUrl: string;
  readonly book: ArrivalBook;
  /** Requests that were answered badly, or not at all. */
  readonly misbehaved: number;
  /** Answers nothing from now on, and resolves once so many requests have come. */
  holdUntil(requests: number): Promise<void>;
  /** Answers again, and returns those that came meanwhile: none of them was answered. */
  release(): Arrival[];
  close(): Promise<void>;
}

/** Of requests: how many are answered badly, with a status and without one. */
const badAnswers = 0.02;
const noAnswers = 0.004;
const failures = [500, 503, 429, 404, 302];
/** From time to time a path fails for a while, whatever comes. */
const spells = 0.0005;
const spellMs = 400;

export async function startFlappingReceiver(random: Random): Promise<FlappingReceiver> {
  const book = createArrivalBook();
  let waiting: { arrival: Arrival; response: ServerResponse }[] = [];
  const downUntil = new Map<string, number>();
  let held: { count: number; resolve: () => void } | undefined;
  let misbehaved = 0;

  const oneOf = <One>(list: readonly One[]) => list[Math.floor(random() * list.length)] as One;

  function isDown(path: string): boolean {
    if (random() < spells) downUntil.set(path, performance.now() + spellMs);
    return performance.now() < (downUntil.get(path) ?? 0);
  }

  function hold(arrival: Arrival, response: ServerResponse): void {
    waiting.push({ arrival, response });
    if (held !== undefined && waiting.length >= held.count) held.resolve();
  }

  function misbehave(arrival: Arrival, exchange: [IncomingMessage, ServerResponse]): void {
    const [request, response] = exchange;
    const status = random() < 0.5 ? 200 : oneOf(failures);
    const isAnswered = random() < badAnswers / (badAnswers + noAnswers);
    const how: Misbehaviour = oneOf(isAnswered ? answers : silences);
    misbehaved++;
    if (isAnswered && status === 200) book.accept(arrival);
    how({ request, response, status });
  }

  /** Before anything of the body is read: some answer then already. */
  function begin(request: IncomingMessage, response: ServerResponse): void {
    const arrival = toArrival(request);
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    book.sent(arrival);
    if (held !== undefined) hold(arrival, response);
    else if (isDown(arrival.path)) response.writeHead(503).end();
    else if (random() < badAnswers + noAnswers) misbehave(arrival, [request, response]);
    else take(arrival, [request, response]);
  }

  function take(arrival: Arrival, [request, response]: [IncomingMessage, ServerResponse]): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      if (!body.includes(`"${arrival.eventId}"`)) book.mistake(arrival, body);
      book.accept(arrival);
      response.writeHead(204).end();
    });
  }

  const server = createServer(begin);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    book,
    get misbehaved() {
      return misbehaved;
    },
    holdUntil(count) {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = { count, resolve };
      return promise;
    },
    release() {
      const forgotten = waiting;
      held = undefined;
      waiting = [];
      for (const { response } of forgotten) response.destroy();
      return forgotten.map(({ arrival }) => arrival);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function toArrival({ url = '', headers }: IncomingMessage): Arrival {
  return {
    path: url,
    sequence: Number(headers['harbor-sequence']),
    eventId: String(headers['webhook-id']),
    deliveryId: String(headers['harbor-delivery']),
  };
}
