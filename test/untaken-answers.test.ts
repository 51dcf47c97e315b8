import { type ClientHttp2Session, connect } from 'node:http2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createOpenAnswers } from '../src/server/wire/open-answers.ts';
import { createEventsClient } from './support/clients.ts';
import { endStream, frame, frameTypes, headersFrame, opening } from './support/http2-frames.ts';
import { openRawSocket, type RawSocket } from './support/raw-socket.ts';
import { startTestService, type TestService } from './support/test-service.ts';

const streamStallMs = 1_000;
const listPath = (workspaceId: string) => `/v1/events?workspace_id=${workspaceId}`;

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ streamStallMs });
  const payload = { text: 'x'.repeat(250_000) };
  const { workspaceId } = service;
  const requests = Array.from({ length: 8 }, () => ({ workspaceId, type: 'large', payload }));
  await createEventsClient(service).batchCreateEvents({ requests });
});
afterAll(() => service.stop());

afterEach(async () => {
  await expect
    .poll(() => service.app.load(), { timeout: 10_000 })
    .toEqual({
      calls: 0,
      callsWithoutKey: 0,
      streams: 0,
      bodyBytes: 0,
      bodyBytesWithoutKey: 0,
      answerBytes: 0,
    });
});

const cutOffs = () =>
  service.logLines.filter(({ reason }) => reason === 'SUBSCRIBER_TOO_SLOW').length;

/** SETTINGS_INITIAL_WINDOW_SIZE of 0: the other side may send no body. */
const noWindow = frame(frameTypes.settings, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]));

const get = (path: string): [string, string][] => [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'localhost'],
  ['authorization', `Bearer ${service.secretKey}`],
];

/** Asks so often without ever taking a body. */
async function askWithoutWindow(path: string, count: number): Promise<RawSocket> {
  const socket = await openRawSocket(service);
  const asks = Array.from({ length: count }, (_, index) =>
    headersFrame(2 * index + 1, get(path), endStream),
  );
  socket.write(Buffer.concat([opening, noWindow, frame(frameTypes.settings, 1, 0), ...asks]));
  return socket;
}

describe('an answer over HTTP/2 that has no window', () => {
  test.each([
    ['the description', () => '/openapi.json', 100],
    ['a probe', () => '/healthz', 100],
    ['a refusal', () => '/nowhere', 100],
    ['a page of 2 MB', () => listPath(service.workspaceId), 20],
  ])('is counted and then cut off: %s', async (_what, path, count) => {
    const before = cutOffs();
    const socket = await askWithoutWindow(path(), count);
    await expect.poll(() => service.app.load().calls).toBe(count);
    await expect.poll(() => cutOffs() - before, { timeout: 10_000 }).toBe(count);
    expect(service.app.load().answerBytes).toBe(0);
    socket.destroy();
  });
});

test('answers over HTTP/1.1 to a client that reads nothing are cut off with its connection', async () => {
  const socket = await openRawSocket(service);
  socket.socket.pause();
  const ask = `GET ${listPath(service.workspaceId)} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${service.secretKey}\r\n\r\n`;
  const before = cutOffs();
  socket.write(ask.repeat(20));
  await expect.poll(() => service.app.load().answerBytes).toBeGreaterThan(1_000_000);
  await expect.poll(() => cutOffs() - before, { timeout: 10_000 }).toBeGreaterThan(0);
  await expect.poll(() => service.app.load().calls, { timeout: 10_000 }).toBe(0);
  socket.destroy();
});

test('answers over HTTP/1.1 behind a stream that has nothing to say end with it, although nobody sees that their client has left', async () => {
  const socket = await openRawSocket(service);
  socket.write(
    'POST /grpc.health.v1.Health/Watch HTTP/1.1\r\nHost: h\r\nContent-Type: application/connect+json\r\n' +
      'Content-Length: 7\r\n\r\n\0\0\0\0\x02{}' +
      'GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(8),
  );
  await socket.until(/SERVING/);
  await expect.poll(() => service.app.load().calls).toBe(9);
  // Node sees at the next request that too much waits to be sent, and stops to read.
  socket.write('GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n');
  await expect.poll(() => service.app.load().calls).toBe(10);
  socket.destroy();
});

test('a page of 2 MB is not cut off while its reader takes some of it now and then', async () => {
  const session: ClientHttp2Session = connect(service.baseUrl);
  const call = session.request(Object.fromEntries(get(listPath(service.workspaceId))));
  let bytes = 0;
  let pauses = 0;
  call.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes < 64 * 1024 * (pauses + 1) || pauses === 6) return;
    pauses++;
    call.pause();
    setTimeout(() => call.resume(), streamStallMs / 2);
  });
  await new Promise((closed) => call.on('close', closed));
  expect(call.rstCode).toBe(0);
  expect(pauses).toBe(6);
  expect(bytes).toBeGreaterThan(2_000_000);
  session.destroy();
});

test('a stop waits a second at most for a reader that takes nothing', async () => {
  const patient = await startTestService({ streamStallMs: 60_000 }, service.database);
  const socket = await openRawSocket(patient);
  const ask = headersFrame(1, get('/openapi.json'), endStream);
  socket.write(Buffer.concat([opening, noWindow, frame(frameTypes.settings, 1, 0), ask]));
  await expect.poll(() => patient.app.load().calls).toBe(1);
  await patient.stop();
  expect(patient.logLines).toContainEqual(
    expect.objectContaining({ path: '/openapi.json', reason: 'SUBSCRIBER_TOO_SLOW' }),
  );
  socket.destroy();
}, 10_000);

describe('when untaken answers are too large together', () => {
  const megabyte = 1024 * 1024;
  const open = (bytes: number, name: string, cut: string[]) => ({
    bytes,
    cutOff: () => void cut.push(name),
  });

  test('those whose readers have taken nothing for longest are cut off, and small ones never', async () => {
    const answers = createOpenAnswers(1_000, new AbortController().signal, 4 * megabyte);
    const cut: string[] = [];
    const [small, first, second] = [
      open(1_000, 'small', cut),
      open(2 * megabyte, 'first', cut),
      open(2 * megabyte - 1_000, 'second', cut),
    ];
    for (const answer of [small, first, second]) answers.open(answer);
    // The watch ends what is stuck for a second: until then the second one has gone on.
    const goingOn = setInterval(() => answers.goOn(second), 10);
    await expect.poll(() => cut, { timeout: 5_000 }).toContain('first');
    clearInterval(goingOn);
    expect(cut).not.toContain('second');
    cut.length = 0;
    answers.open(open(3 * megabyte, 'third', cut));
    expect(cut).toContain('first');
    expect(cut).not.toContain('small');
    answers.open(open(1_000, 'another small', cut));
    expect(cut).not.toContain('another small');
  });

  test('the newest goes when all others are being taken', () => {
    const answers = createOpenAnswers(1_000, new AbortController().signal, 4 * megabyte);
    const cut: string[] = [];
    answers.open(open(3 * megabyte, 'taken', cut));
    answers.open(open(3 * megabyte, 'newest', cut));
    expect(cut).toEqual(['newest']);
  });
});
