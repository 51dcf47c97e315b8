import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

const source = (path: string) => resolve(import.meta.dirname, '../..', path);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** The packages of OpenTelemetry that a process has loaded when it listens. */
async function packagesOf(env: Record<string, string>): Promise<string[]> {
  const child = spawn(
    process.execPath,
    ['--import', source('test/support/loaded-packages.ts'), source('src/main.ts')],
    {
      env: { PATH: process.env.PATH, DATABASE_URL: database.url, PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const loaded: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, specifier } = JSON.parse(line);
    if (msg === 'loaded') loaded.push(specifier);
    if (msg === 'listening') child.kill('SIGTERM');
  }
  if (child.exitCode === null) await once(child, 'exit');
  return loaded;
}

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' };

test.each([
  ['without an endpoint', { OTEL_SERVICE_NAME: 'events' }],
  ['with OTEL_SDK_DISABLED', { ...endpoint, OTEL_SDK_DISABLED: 'true' }],
  ['with OTEL_TRACES_EXPORTER=none', { ...endpoint, OTEL_TRACES_EXPORTER: 'none' }],
])('%s nothing of OpenTelemetry is loaded', async (_what, env) => {
  expect(await packagesOf(env)).toEqual([]);
});

test('with an endpoint its packages are loaded', async () => {
  expect(await packagesOf(endpoint)).toContain('@opentelemetry/sdk-trace');
});
