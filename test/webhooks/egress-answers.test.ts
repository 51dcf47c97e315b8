import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { WebhookResponse } from '../../src/webhooks/delivery/courier.ts';
import { createAddressPolicy } from '../../src/webhooks/egress/address-policy.ts';
import { createDial } from '../../src/webhooks/egress/dial.ts';
import { createHttpClient, type HttpClient } from '../../src/webhooks/egress/http-client.ts';
import { type ScriptedSocket, startScriptedSocket } from '../support/scripted-socket.ts';

let client: HttpClient;
let server: ScriptedSocket;
/** What the server does when a request begins, its body read or not. */
let answer: (socket: Socket, request: string) => void;

const dialing = {
  policy: createAddressPolicy({ allowCidrs: ['127.0.0.0/8'], denyCidrs: [] }),
  resolve: async () => [{ address: '127.0.0.1', family: 4 }],
  connectTimeoutMs: 2_000,
  authorities: [],
};

beforeEach(async () => {
  server = await startScriptedSocket((socket) => {
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      if (text.startsWith('POST')) answer(socket, text);
    });
  });
  client = createHttpClient(createDial(dialing));
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const head = (status: number, ...headers: readonly string[]) =>
  [`HTTP/1.1 ${status} Some`, ...headers, '', ''].join('\r\n');

function post({
  host = 'hooks.test',
  timeoutMs = 5_000,
  body = Buffer.from('{}'),
  headers = {},
} = {}) {
  return client.post({
    url: `http://${host}:${server.port}/in?a=1#b`,
    headers,
    body,
    timeoutMs,
  });
}

/** Writes again and again until the other side has left. */
function writeForever(socket: Socket, text: string | Buffer, everyMs = 0): void {
  const timer = setInterval(() => socket.destroyed || socket.write(text), everyMs);
  socket.on('close', () => clearInterval(timer));
}

const leaving = (socket: Socket) =>
  expect.poll(() => socket.destroyed || socket.closed, { timeout: 5_000 }).toBe(true);

test('a request is what was signed: its bytes, its headers, and the path with its query', async () => {
  const requests: string[] = [];
  answer = (socket, request) => {
    requests.push(request);
    socket.write(head(204));
  };
  await post({ headers: { 'webhook-id': 'evt_1', 'content-type': 'application/json' } });
  const [line, ...rest] = (requests[0] ?? '').split('\r\n');
  expect(line).toBe('POST /in?a=1 HTTP/1.1');
  expect(rest.filter((one) => !/^$/.test(one)).sort()).toEqual([
    'connection: keep-alive',
    'content-length: 2',
    'content-type: application/json',
    `host: hooks.test:${server.port}`,
    'webhook-id: evt_1',
    '{}',
  ]);
});

test('connections are used again', async () => {
  answer = (socket) => socket.write(`${head(200, 'content-length: 2')}ok`);
  for (let count = 0; count < 5; count++) {
    expect(await post()).toMatchObject({ status: 200, body: Buffer.from('ok') });
  }
  // A request that follows at once finds the connection of the one before it still in use.
  expect(server.sockets.length).toBeLessThanOrEqual(2);
});

test('where many connections are open, those to other servers end with their answers', async () => {
  await client.close();
  client = createHttpClient(createDial(dialing), { keptMax: 3 });
  const closing: boolean[] = [];
  answer = (socket, request) => {
    closing.push(/^connection: close\r$/m.test(request));
    socket.write(head(204));
  };
  const burst = (host: string) =>
    Promise.all(Array.from({ length: 4 }, () => post({ host, timeoutMs: 5_000 })));
  await burst('one.test');
  await burst('two.test');
  await burst('three.test');
  expect(closing).toEqual([0, 4, 8].flatMap((from) => Array(4).fill(from > 0)));
  const openNow = () => server.sockets.filter(({ closed }) => !closed).length;
  await expect.poll(openNow).toBe(4);
  expect(server.sockets).toHaveLength(12);
});

test.each<[string, (socket: Socket) => void, string]>([
  ['says nothing', () => undefined, 'timeout'],
  [
    'says one byte of a header at a time',
    (socket) => writeForever(socket, 'H', 20),
    'answer that is not HTTP',
  ],
  [
    'drips a header',
    (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nx-slow: ');
      writeForever(socket, 'a', 20);
    },
    'timeout',
  ],
  [
    'sends headers without an end',
    (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      writeForever(socket, `x-more: ${'a'.repeat(4_000)}\r\n`);
    },
    'answer with too long headers',
  ],
  [
    'sends one header without an end',
    (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nx-long: ');
      writeForever(socket, 'a'.repeat(4_000));
    },
    'answer with too long headers',
  ],
  [
    'goes on with "early hints" for ever',
    (socket) => writeForever(socket, head(103), 20),
    'timeout',
  ],
  [
    'switches protocols',
    (socket) => socket.write(head(101, 'upgrade: x', 'connection: upgrade')),
    'connection closed',
  ],
  [
    'says "100 Continue" though nobody asked',
    (socket) => socket.write(head(100) + head(204)),
    '"100 Continue" that was not asked for',
  ],
  ['closes', (socket) => socket.end(), 'connection closed'],
  ['resets', (socket) => socket.resetAndDestroy(), 'connection reset'],
  [
    'closes within the headers',
    (socket) => socket.end('HTTP/1.1 200 OK\r\nx-a: '),
    'connection closed',
  ],
  [
    'speaks something else',
    (socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n'),
    'answer that is not HTTP',
  ],
  [
    'has two lengths',
    (socket) => socket.end(head(200, 'content-length: 1', 'content-length: 2')),
    'answer that is not HTTP',
  ],
])('a server that %s is no answer, in time', async (_, script, error) => {
  answer = script;
  expect(await post({ timeoutMs: 500 })).toEqual({ kind: 'unanswered', error });
  await leaving(server.sockets[0] as Socket);
});

test.each<[string, (socket: Socket) => void]>([
  [
    'drips a body',
    (socket) => {
      socket.write(head(200, 'content-length: 1000000'));
      writeForever(socket, 'a', 10);
    },
  ],
  [
    'drips pieces of a byte',
    (socket) => {
      socket.write(head(200, 'transfer-encoding: chunked'));
      writeForever(socket, '1\r\na\r\n', 10);
    },
  ],
  [
    'sends a body without an end',
    (socket) => {
      socket.write(head(200, 'connection: close'));
      writeForever(socket, 'a'.repeat(16_000));
    },
  ],
  [
    'announces a body of terabytes',
    (socket) => {
      socket.write(head(200, 'content-length: 9000000000000'));
      writeForever(socket, 'a'.repeat(16_000));
    },
  ],
  [
    'sends trailers without an end',
    (socket) => {
      socket.write(`${head(200, 'transfer-encoding: chunked')}1\r\na\r\n0\r\n`);
      writeForever(socket, `x-more: ${'a'.repeat(4_000)}\r\n`);
    },
  ],
  [
    'resets within its body',
    (socket) => {
      socket.write(`${head(200, 'content-length: 10')}a`, () => socket.resetAndDestroy());
    },
  ],
  ['closes within its body', (socket) => socket.end(`${head(200, 'content-length: 10')}a`)],
])('a server that answers, and %s, has answered', async (_, script) => {
  answer = script;
  const response = (await post({ timeoutMs: 500 })) as Extract<
    WebhookResponse,
    { kind: 'answered' }
  >;
  expect(response).toMatchObject({ kind: 'answered', status: 200 });
  expect(response.body.byteLength).toBeLessThanOrEqual(1_024);
  expect(response.body.toString()).toMatch(/^a*$/);
  await leaving(server.sockets[0] as Socket);
});

test('no more than 64 KiB of an answer is read, and its first 1,024 bytes are kept', async () => {
  const long = randomBytes(10_000_000);
  answer = (socket) => {
    socket.write(head(500, `content-length: ${long.byteLength}`));
    socket.write(long);
  };
  expect(await post()).toMatchObject({ status: 500, body: long.subarray(0, 1_024) });
  const [socket] = server.sockets as [Socket];
  await leaving(socket);
  // What was still in the buffers of this server never left it.
  expect(socket.bytesWritten).toBeGreaterThan(0);
});

/** Writes as fast as it is read, and tells how much that was once the other side has left. */
async function floodedBytes(socket: Socket, piece: Buffer): Promise<number> {
  const flood = () => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on('drain', flood);
  flood();
  await leaving(socket);
  return socket.bytesWritten - socket.writableLength;
}

test.each<[string, string, Buffer]>([
  ['heads that say "go on"', '', Buffer.from(head(103).repeat(2_000))],
  ['notes on a chunk', `${head(200, 'transfer-encoding: chunked')}1;`, Buffer.alloc(65_536, 'a')],
  [
    'chunks of a byte with notes',
    head(200, 'transfer-encoding: chunked'),
    Buffer.from(`1;${'a'.repeat(16_000)}\r\na\r\n`),
  ],
])('an endless answer of %s is read no further than some 256 KiB', async (_, start, piece) => {
  const flooded = Promise.withResolvers<number>();
  answer = (socket) => {
    socket.write(start);
    floodedBytes(socket, piece).then(flooded.resolve, flooded.reject);
  };
  const response = await post({ timeoutMs: 20_000 });
  expect(response).toMatchObject(
    start === '' ? { kind: 'unanswered', error: 'answer too long' } : { status: 200 },
  );
  // Beside what was read, the buffers of both sides are full.
  expect(await flooded.promise).toBeLessThan(16_000_000);
});

test('an answer of 64 KiB is read to its end, and its connection used again', async () => {
  answer = (socket) => socket.write(head(200, 'content-length: 65536') + 'a'.repeat(65_536));
  for (let count = 0; count < 4; count++) await post();
  expect(server.sockets.length).toBeLessThanOrEqual(2);
});

test('an answer that is packed stays packed', async () => {
  const bomb = gzipSync(Buffer.alloc(30_000_000));
  answer = (socket, request) => {
    expect(request).not.toMatch(/accept-encoding/i);
    socket.write(head(200, 'content-encoding: gzip', `content-length: ${bomb.byteLength}`));
    socket.write(bomb);
  };
  expect(await post()).toMatchObject({ status: 200, body: bomb.subarray(0, 1_024) });
});

test('an answer before the request is read is one, and the connection is not used again', async () => {
  answer = (socket) => {
    socket.pause();
    if (socket.bytesWritten === 0) socket.write(head(413, 'content-length: 0'));
  };
  const body = Buffer.alloc(8_000_000);
  expect(await post({ body })).toMatchObject({ kind: 'answered', status: 413 });
  expect(await post({ body })).toMatchObject({ kind: 'answered', status: 413 });
  expect(server.sockets).toHaveLength(2);
});

test('what only says "go on" is no answer; the one after it is', async () => {
  answer = (socket) => {
    socket.write(head(102) + head(103, 'link: </a>'));
    socket.write(head(202, 'content-length: 0'));
  };
  expect(await post()).toMatchObject({ kind: 'answered', status: 202 });
});

test('a second answer to a request is not taken for the answer to the next one', async () => {
  answer = (socket) => {
    const isFirst = server.sockets.length === 1 && socket.bytesWritten === 0;
    socket.write(head(200, 'content-length: 0'));
    if (isFirst) socket.write(head(410, 'content-length: 0'));
  };
  expect(await post()).toMatchObject({ status: 200 });
  await leaving(server.sockets[0] as Socket);
  expect(await post()).toMatchObject({ status: 200 });
});

test('when to come again is told as it was said', async () => {
  answer = (socket) =>
    socket.write(head(429, 'Retry-After: 7', 'retry-after: 9', 'content-length: 0'));
  expect(await post()).toMatchObject({ status: 429, retryAfter: '7' });
});

test('headers that HTTP cannot say are a failure, and the connection is none the worse', async () => {
  answer = (socket) => socket.write(head(204));
  expect(await post({ headers: { 'x-a': 'b\r\nx-c: d' } })).toEqual({
    kind: 'unanswered',
    error: 'request failed',
  });
  expect(await post()).toMatchObject({ status: 204 });
});

test('a client that closes ends what is on its way', async () => {
  answer = () => undefined;
  const posting = post();
  await expect.poll(() => server.sockets.length).toBe(1);
  await client.close();
  expect(await posting).toMatchObject({ kind: 'unanswered' });
  expect(await post()).toMatchObject({ kind: 'unanswered' });
});
