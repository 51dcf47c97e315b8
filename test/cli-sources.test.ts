import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newSecret } from '../src/api-keys/index.ts';
import { runHarbor } from './support/harbor-cli.ts';

/** A host that is not the quick start's, and every `authorization` that reached it. */
let otherHost: Server;
let otherUrl: string;
const received: (string | undefined)[] = [];

/** A checkout whose quick start has left its files. */
let dataDirectory: string;
const quickStartKey = newSecret('secret');

beforeAll(async () => {
  otherHost = createServer((request, response) => {
    received.push(request.headers.authorization);
    response.writeHead(401).end();
  });
  otherHost.listen(0, '127.0.0.1');
  await once(otherHost, 'listening');
  otherUrl = `http://127.0.0.1:${(otherHost.address() as AddressInfo).port}`;
  dataDirectory = await mkdtemp(join(tmpdir(), 'harbor-sources-'));
  await writeFile(
    join(dataDirectory, 'dev.env'),
    `HARBOR_BASE_URL=http://127.0.0.1:1\nHARBOR_SECRET_KEY=${quickStartKey}\nHARBOR_WORKSPACE_ID=ws_1\n`,
  );
  await writeFile(
    join(dataDirectory, 'postgres.url'),
    'postgres://harbor:hidden@127.0.0.1:1/harbor',
  );
});
afterAll(async () => {
  otherHost.close();
  await rm(dataDirectory, { recursive: true, force: true });
});

const run = (args: string[], env: Record<string, string>) =>
  runHarbor(args, { HARBOR_DATA_DIR: dataDirectory, ...env });

test.each([
  [{ HARBOR_BASE_URL: true }, 'HARBOR_BASE_URL is set without HARBOR_SECRET_KEY'],
  [{ HARBOR_SECRET_KEY: true }, 'HARBOR_SECRET_KEY is set without HARBOR_BASE_URL'],
  [
    { HARBOR_WORKSPACE_ID: true },
    'HARBOR_WORKSPACE_ID is set without HARBOR_BASE_URL and HARBOR_SECRET_KEY',
  ],
  [
    { HARBOR_BASE_URL: true, HARBOR_WORKSPACE_ID: true },
    'HARBOR_BASE_URL and HARBOR_WORKSPACE_ID are set without HARBOR_SECRET_KEY',
  ],
])(
  'with only %j set, events refuses and sends nothing, whatever the quick start has left',
  async (set, text) => {
    const values = {
      HARBOR_BASE_URL: otherUrl,
      HARBOR_SECRET_KEY: newSecret('secret'),
      HARBOR_WORKSPACE_ID: 'ws_2',
    };
    const env = Object.fromEntries(Object.entries(values).filter(([name]) => name in set));
    const { code, stderr } = await run(['events', 'list', '--workspace', 'ws_2'], env);
    expect(code).toBe(1);
    expect(stderr).toContain(`harbor: ${text}`);
    expect(received).toEqual([]);
  },
);

test('address and key of the environment go together, and the workspace may be given', async () => {
  const secretKey = newSecret('secret');
  const env = { HARBOR_BASE_URL: otherUrl, HARBOR_SECRET_KEY: secretKey };
  expect((await run(['events', 'list'], env)).stderr).toContain('no workspace');
  expect(received).toEqual([]);
  await run(['events', 'list', '--workspace', 'ws_2'], env);
  expect(received).toEqual([`Bearer ${secretKey}`]);
});

test('with nothing set, address, key and workspace are those of the quick start', async () => {
  const { stderr } = await run(['events', 'list'], {});
  expect(stderr).toContain('http://127.0.0.1:1');
});

test('keys are not made in the database of the quick start for a service elsewhere', async () => {
  const { code, stderr } = await run(['keys', 'create'], { HARBOR_BASE_URL: otherUrl });
  expect(code).toBe(1);
  expect(stderr).toContain('HARBOR_BASE_URL is set without DATABASE_URL');
});

test('a quick start that no longer runs is named as what cannot be reached', async () => {
  const { code, stderr } = await run(['keys', 'create'], {});
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^harbor: PostgreSQL at postgres:\/\/127\.0\.0\.1:1\/harbor \(of the quick start\) cannot be used/,
  );
});
