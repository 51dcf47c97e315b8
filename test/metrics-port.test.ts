import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMetricsPort, type MetricsPort } from '../src/metrics/metrics-port.ts';
import { runHarbor } from './support/harbor-cli.ts';
import { sendRequest } from './support/http-request.ts';
import { exchangeRaw, openRawSocket } from './support/raw-socket.ts';
import { startServiceProcess } from './support/service-process.ts';
import { createTestDatabase } from './support/test-database.ts';

let port: MetricsPort;
let at: { readonly host: string; readonly port: number };
let reads: number;
let read: () => Promise<string>;
const errors: unknown[] = [];

beforeEach(async () => {
  reads = 0;
  read = async () => `reads ${reads}\n`;
  port = createMetricsPort({
    read() {
      reads++;
      return read();
    },
    contentType: 'text/plain; version=0.0.4',
    onError: (error) => errors.push(error),
  });
  at = await port.listen('127.0.0.1', 0);
});
afterEach(() => port.close());

const ask = (path: string, options: Parameters<typeof sendRequest>[2] = {}) =>
  sendRequest({ ...at, secretKey: '' }, path, options);

test('GET and HEAD of /metrics are answered, other paths and methods are told what is there', async () => {
  const found = await ask('/metrics');
  expect(found).toMatchObject({ status: 200, text: 'reads 1\n' });
  expect(found.headers['content-type']).toBe('text/plain; version=0.0.4');
  expect(await ask('/metrics?name[]=harbor_ready')).toMatchObject({ status: 200 });
  expect(await ask('/metrics', { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
  expect(await ask('/')).toMatchObject({ status: 404, text: 'the metrics are at /metrics\n' });
  expect(await ask('/metrics/../x')).toMatchObject({ status: 404 });
  const refused = await ask('/metrics', { method: 'POST', body: 'x' });
  expect(refused).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
});

test('whoever asks again and again has them read once in half a second', async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask('/metrics')));
  expect(answers.map(({ text }) => text)).toEqual(Array(20).fill('reads 1\n'));
  expect(reads).toBe(1);
});

test('a read that fails is a 500 without a word of why, and the next one may do', async () => {
  read = () => Promise.reject(new Error('secret'));
  const failed = await ask('/metrics');
  expect(failed).toMatchObject({ status: 500, text: 'the metrics cannot be read\n' });
  expect(errors).toEqual([expect.objectContaining({ message: 'secret' })]);
  read = async () => 'fine\n';
  await expect.poll(async () => (await ask('/metrics')).text).toBe('fine\n');
});

test('a body that comes without end is not read: its connection ends with the answer', async () => {
  const head = 'GET /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n';
  const answer = await exchangeRaw(at, head + 'x'.repeat(1_000));
  // And not by a second answer, once the time for the request has passed.
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nreads 1\n$/);
});

test('connections beyond the bound are ended at once, and those there are go on', async () => {
  const held = await Promise.all(Array.from({ length: 32 }, () => openRawSocket(at)));
  for (const socket of held) socket.write('GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n');
  await Promise.all(held.map((socket) => socket.until(/reads 1/)));
  const beyond = await openRawSocket(at);
  expect(await beyond.ended()).toBe('');
  held[0]?.write('GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n');
  await held[0]?.until(/ 404 /);
  for (const socket of held) socket.destroy();
});

test('headers that do not come to an end, or are too long, end their connection', async () => {
  const slow = await openRawSocket(at);
  slow.write('GET /metrics HTTP/1.1\r\n');
  const long = `GET /metrics HTTP/1.1\r\nx: ${'x'.repeat(10_000)}\r\n\r\n`;
  expect(await exchangeRaw(at, long)).toMatch(/^HTTP\/1\.1 431 /);
  expect(await slow.ended()).toMatch(/^HTTP\/1\.1 408 /);
});

test('a port that is taken is told with the variable that moves it, and nothing is left running', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port: metricsPort } = taken.address() as { port: number };
  const database = await createTestDatabase();
  const { code, stderr } = await runHarbor(['serve'], {
    DATABASE_URL: database.url,
    PORT: '0',
    METRICS_PORT: `${metricsPort}`,
  });
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: `harbor: port ${metricsPort} of 127.0.0.1 is taken; end what listens there, or set METRICS_PORT to another one\n`,
  });
  taken.close();
  await database.drop();
});

test('a process says where its metrics are, and they are there until it has stopped', async () => {
  const database = await createTestDatabase();
  const service = await startServiceProcess(database.url, { METRICS_PORT: '0' });
  const { host = '', port: metricsPort = 0 } = service.metrics ?? {};
  const found = await sendRequest({ host, port: metricsPort, secretKey: '' }, '/metrics');
  expect(found.text).toContain('harbor_ready 1\n');
  await service.kill('SIGTERM');
  await expect(service.ended).resolves.toEqual({ code: 0, signal: null });
  await database.drop();
});
