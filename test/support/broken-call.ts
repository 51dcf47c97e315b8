import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { PlainRequest } from './broken-request.ts';
import { headersFrame, opening } from './http2-frames.ts';
import type { TestService } from './test-service.ts';

/** How far a call gets before its client breaks it. */
export const stages = [
  'in its headers',
  'before its body',
  'in its body',
  'while it waits',
  'while its answer is read',
  'while nobody reads its answer',
  'not at all',
] as const;

export interface Break {
  readonly http: '1.1' | '2';
  readonly stage: (typeof stages)[number];
  /** What ends: its own bytes alone, the call, or its connection. */
  readonly how: 'leave' | 'reset' | 'destroy';
  /** How much of headers or body is sent, from 0 to 1. */
  readonly part: number;
  readonly waitMs: number;
}

/** One call, as a client that breaks it sees it. */
interface Call {
  /** What comes back; reading it is what takes it. */
  readonly answer: Duplex;
  sendHead(part: number): void;
  sendBody(part: number): void;
  leave(): void;
  reset(): void;
  destroy(): void;
}

/** No call is held for longer. */
const patienceMs = 1_500;

/**
 * Makes a call and breaks it. Resolves when nothing more will come of it; never rejects.
 *
 * @param shared a connection of HTTP/2 that it shares with others, which `destroy` leaves alone.
 */
export async function breakCall(
  service: TestService,
  request: PlainRequest,
  { stage, how, part, waitMs, http, shared }: Break & { readonly shared?: ClientHttp2Session },
): Promise<void> {
  const isCutInHead = stage === 'in its headers';
  const call =
    http === '2' && !isCutInHead
      ? openHttp2(service, request, shared)
      : await openSocket(service, http === '2' ? bytesOfHttp2(request) : bytesOfHttp1(request));
  const { answer } = call;
  answer.on('error', () => undefined);
  if (stage !== 'while nobody reads its answer') answer.resume();
  const closed = once(answer, 'close').catch(() => undefined);
  const over = Promise.race([closed, delay(patienceMs, undefined, { ref: false })]);
  call.sendHead(isCutInHead ? part : 1);
  if (!isCutInHead && stage !== 'before its body') {
    call.sendBody(stage === 'in its body' ? part : 1);
  }
  if (stage === 'while its answer is read') {
    await Promise.race([once(answer, 'data').catch(() => undefined), over]);
  }
  const goesOn = stage === 'while nobody reads its answer' || stage === 'not at all';
  await (goesOn ? over : Promise.race([delay(waitMs), closed]));
  call[how]();
  if (how === 'leave') await over;
  call.destroy();
}

interface RequestBytes {
  readonly head: Buffer;
  readonly body: Buffer;
}

function bytesOfHttp1({ method, path, headers, body }: PlainRequest): RequestBytes {
  const fields = {
    host: 'broken',
    connection: 'close',
    ...headers,
    ...(method === 'POST' && { 'content-length': `${body.length}` }),
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return { head: Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), body };
}

/** Only the head: no client library would send a part of it. */
function bytesOfHttp2({ method, path, headers, body }: PlainRequest): RequestBytes {
  const fields = { ':method': method, ':scheme': 'http', ':path': path, ':authority': 'broken' };
  const frame = headersFrame(1, Object.entries({ ...fields, ...headers }));
  return { head: Buffer.concat([opening, frame]), body };
}

async function openSocket(service: TestService, { head, body }: RequestBytes): Promise<Call> {
  const socket: Socket = connect({ host: service.host, port: service.port, noDelay: true });
  await once(socket, 'connect');
  return {
    answer: socket,
    sendHead: (part) => void socket.write(head.subarray(0, head.length * part)),
    sendBody: (part) => void socket.write(body.subarray(0, body.length * part)),
    leave: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
    destroy: () => void socket.destroy(),
  };
}

function openHttp2(
  service: TestService,
  { method, path, headers, body }: PlainRequest,
  shared: ClientHttp2Session | undefined,
): Call {
  const session = shared ?? openSession(service);
  const fields = { ':method': method, ':path': path, te: 'trailers', ...headers };
  const stream = session.request(fields, { endStream: false });
  return {
    answer: stream,
    sendHead: () => undefined,
    sendBody(part) {
      if (part === 1) stream.end(body);
      else stream.write(body.subarray(0, body.length * part));
    },
    leave: () => void stream.end(),
    reset: () => stream.close(constants.NGHTTP2_CANCEL),
    destroy() {
      if (shared === undefined) session.destroy();
      else stream.destroy();
    },
  };
}

export function openSession({ baseUrl }: TestService): ClientHttp2Session {
  const session = connectHttp2(baseUrl);
  session.on('error', () => undefined);
  return session;
}
