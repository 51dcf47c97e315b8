import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';

/** A request that is being answered badly. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly status: number;
}

/** Whether the answer has a status is what decides: a success whose body never ends is a success all the same. */
export type Misbehaviour = (exchange: Exchange) => void;

const dripEveryMs = 50;
const flood = Buffer.alloc(64 * 1024, 'x');
/** A few KB that inflate to 8 MB. */
const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024));

function drip({ response, status }: Exchange): void {
  response.writeHead(status);
  const timer = setInterval(() => response.write('.'), dripEveryMs);
  response.on('close', () => clearInterval(timer));
}

function pour({ response, status }: Exchange): void {
  response.writeHead(status);
  const more = () => {
    while (!response.destroyed && response.write(flood));
  };
  response.on('drain', more);
  more();
}

function sendBomb({ response, status }: Exchange): void {
  response.writeHead(status, { 'content-encoding': 'gzip' }).end(bomb);
}

/** Promises more than comes. */
function cutShort({ response, status }: Exchange): void {
  response.writeHead(status, { 'content-length': '1000' }).write('so', () => response.destroy());
}

function close({ response, status }: Exchange): void {
  response.writeHead(status, { connection: 'close' }).end();
}

/** These have a status, which counts. */
export const answers: readonly Misbehaviour[] = [drip, pour, sendBomb, cutShort, close];

/** These have none: the one who sends hears of it at once, or when its time is up. */
export const silences: readonly Misbehaviour[] = [
  ({ request }) => request.socket.resetAndDestroy(),
  ({ request }) => request.socket.destroy(),
  () => undefined,
];
