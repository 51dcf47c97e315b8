import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../src/database/database.ts';
import { appendOwnEvent } from '../src/events/index.ts';
import { createEventsClient } from './support/clients.ts';
import { startTestService, type TestService } from './support/test-service.ts';

const root = resolve(import.meta.dirname, '..');
const workspaceId = 'ws_018f3a2e4b9c';

let service: TestService;
let folder: string;
beforeAll(async () => {
  service = await startTestService();
  await service.app.workspaces.create(workspaceId, '');
  folder = await mkdtemp(join(tmpdir(), 'harbor-cloudevents-'));
  await installSdk(join(folder, 'node_modules/@harbor/sdk'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await service.stop();
});

/** The sources of this checkout under the name of the package, so that nothing has to be built before. */
async function installSdk(at: string): Promise<void> {
  await mkdir(at, { recursive: true });
  await writeFile(join(at, 'package.json'), '{ "type": "module", "exports": "./index.js" }');
  const sources = pathToFileURL(join(root, 'sdk/src/index.ts'));
  await writeFile(join(at, 'index.js'), `export * from '${sources}';`);
}

/** What the program of the page prints, line by line. */
async function runPage(): Promise<Record<string, unknown>[]> {
  const page = await readFile(join(root, 'docs/cloudevents.md'), 'utf8');
  const program = /^```ts\n([\s\S]*?)^```$/m.exec(page)?.[1] ?? '';
  await writeFile(join(folder, 'main.ts'), program);
  const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'main.ts')], {
    env: { HARBOR_BASE_URL: service.baseUrl, HARBOR_SECRET_KEY: service.secretKey },
  });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

async function appendOwn(): Promise<void> {
  const database = await openDatabase({
    url: service.database.url,
    poolSize: 1,
    applicationName: 'test',
    onNotice: () => undefined,
  });
  await database.inTransaction((tx) =>
    appendOwnEvent(tx, { workspaceId, type: 'harbor.tested', payload: {}, key: 'page' }),
  );
  await database.close();
}

test('the program of the page on CloudEvents prints events as its table says', async () => {
  const client = createEventsClient(service);
  const { event: full } = await client.createEvent({
    workspaceId,
    type: 'invoice.paid',
    payload: { invoice_id: 'inv_1', nested: { amountCents: 1 } },
    subject: 'inv_1',
    occurredAt: { seconds: 1_779_710_283n, nanos: 125_000 },
    metadata: { origin: 'billing', 'not.one': 'x', snake_case: 'x', id: 'taken', type: 'taken' },
  });
  const { event: bare } = await client.createEvent({ workspaceId, type: 'bare', payload: {} });
  await appendOwn();

  const [first, second, third] = await runPage();
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(first).toEqual({
    specversion: '1.0',
    id: full?.id,
    source: `/workspaces/${workspaceId}`,
    type: 'invoice.paid',
    subject: 'inv_1',
    time: '2026-05-25T11:58:03.000125Z',
    datacontenttype: 'application/json',
    data: { invoice_id: 'inv_1', nested: { amountCents: 1 } },
    sequence: '0000000000000001',
    recordedtime: time,
    authtype: 'api_key',
    authid: full?.apiKeyId,
    origin: 'billing',
  });
  expect(second).toEqual({
    specversion: '1.0',
    id: bare?.id,
    source: `/workspaces/${workspaceId}`,
    type: 'bare',
    time: second?.recordedtime,
    datacontenttype: 'application/json',
    data: {},
    sequence: '0000000000000002',
    recordedtime: time,
    authtype: 'api_key',
    authid: bare?.apiKeyId,
  });
  expect(third).toMatchObject({ type: 'harbor.tested', authtype: 'system' });
  expect(third).not.toHaveProperty('authid');
});
