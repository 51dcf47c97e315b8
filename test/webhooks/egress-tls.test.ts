import { readFileSync } from 'node:fs';
import { createServer as createPlainServer } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { createAddressPolicy } from '../../src/webhooks/egress/address-policy.ts';
import { createDial } from '../../src/webhooks/egress/dial.ts';
import { createHttpClient } from '../../src/webhooks/egress/http-client.ts';

const folder = join(import.meta.dirname, '../support/tls');
const [cert, key] = ['cert.pem', 'key.pem'].map((name) => readFileSync(join(folder, name), 'utf8'));
const [bundled] = getCACertificates('bundled') as [string];
const refused = { kind: 'unanswered', error: 'TLS refused' };

let server: Server;
let port: number;
/** Requests that have got through. */
let requests = 0;

beforeAll(async () => {
  server = createServer({ cert, key }, (_, response) => {
    requests++;
    response.writeHead(204).end();
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
afterEach(() => {
  vi.unstubAllEnvs();
  requests = 0;
});

async function post(host: string, authorities: readonly string[]) {
  const client = createHttpClient(
    createDial({
      policy: createAddressPolicy({ allowCidrs: ['127.0.0.0/8'], denyCidrs: [] }),
      resolve: async () => [{ address: '127.0.0.1', family: 4 }],
      connectTimeoutMs: 2_000,
      authorities,
    }),
  );
  const url = `https://${host}:${port}/hooks`;
  const answer = await client.post({ url, headers: {}, body: Buffer.from('{}'), timeoutMs: 5_000 });
  await client.close();
  return answer;
}

test('a certificate by an authority of the operator is trusted, for the names and addresses in it', async () => {
  expect(await post('localhost', [cert as string])).toMatchObject({ status: 204 });
  expect(await post('127.0.0.1', [cert as string])).toMatchObject({ status: 204 });
  expect(requests).toBe(2);
});

test('a certificate by nobody known, or for another name, ends it before anything is sent', async () => {
  expect(await post('localhost', [])).toEqual(refused);
  expect(await post('localhost', [bundled])).toEqual(refused);
  expect(await post('hooks.test', [cert as string])).toEqual(refused);
  expect(await post('127.0.0.2', [cert as string])).toEqual(refused);
  expect(requests).toBe(0);
});

test('the environment of Node turns nothing off', async () => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  expect(await post('localhost', [])).toEqual(refused);
  expect(await post('hooks.test', [cert as string])).toEqual(refused);
  expect(requests).toBe(0);
});

test('authorities of the operator stand beside the usual ones', async () => {
  const usual = getCACertificates('default');
  setDefaultCACertificates([...usual, cert as string]);
  const answer = await post('localhost', [bundled]);
  setDefaultCACertificates(usual);
  expect(answer).toMatchObject({ status: 204 });
});

test('where there is no TLS, an https endpoint is sent nothing', async () => {
  const plain = createPlainServer(() => requests++);
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  const own = port;
  port = (plain.address() as AddressInfo).port;
  expect(await post('localhost', [cert as string])).toMatchObject({ kind: 'unanswered' });
  port = own;
  await new Promise((resolve) => plain.close(resolve));
  expect(requests).toBe(0);
});
