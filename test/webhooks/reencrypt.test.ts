import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { newUuid } from '../../src/type-id.ts';
import { createEncryption, type Encryption } from '../../src/webhooks/signing/encryption.ts';
import { headersPlace, secretPlace } from '../../src/webhooks/signing/places.ts';
import { reencrypt } from '../../src/webhooks/signing/reencrypt-store.ts';
import { runHarbor } from '../support/harbor-cli.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

const [older, newer] = [randomBytes(32), randomBytes(32)] as [Buffer, Buffer];
const [byOlder, byNewer] = [createEncryption([older]), createEncryption([newer])];
const [olderName, newerName] = [byOlder.keyNames[0], byNewer.keyNames[0]] as [string, string];
const both = createEncryption([newer, older]);

let database: TestDatabase;
let client: Client;
let opened: Database;
beforeEach(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  opened = await openDatabase({
    url: database.url,
    poolSize: 4,
    applicationName: 'harbor-test',
    onNotice: () => undefined,
  });
});
afterEach(async () => {
  await Promise.all([client.end(), opened.close()]);
  await database.drop();
});

interface SecretRow {
  readonly id: string;
  readonly ciphertext: Buffer;
}

/** An endpoint with headers and two secrets, one of them in its overlap. */
async function addEndpoint(
  encryption: Encryption,
  { expiresAt = 'infinity' } = {},
): Promise<string> {
  const id = newUuid();
  await client.query(
    `insert into webhook_endpoints (id, workspace_id, url, description, type_patterns, header_names, headers,
       max_in_flight, timeout_ms, ordering, status, status_changed_at, created_at, updated_at, touched_at)
     values ($1, 'ws_1', 'https://example.com', '', '{}', '{x-a}', $2, 10, 1000, 'none', 'enabled', now(), now(), now(),
       '2026-01-01Z')`,
    [id, encryption.encrypt(`{"x-a":"${id}"}`, headersPlace(id))],
  );
  for (const expiry of [null, expiresAt]) {
    const secretId = newUuid();
    await client.query(
      `insert into webhook_secrets (id, workspace_id, endpoint_id, ciphertext, created_at, expires_at)
       values ($1, 'ws_1', $2, $3, now(), $4)`,
      [secretId, id, encryption.encrypt(`whsec_${secretId}`, secretPlace(secretId)), expiry],
    );
  }
  return id;
}

const secrets = () => database.query<SecretRow>('select id, ciphertext from webhook_secrets');
const untouched = async () =>
  (
    await database.query<{ id: string }>(
      "select id from webhook_endpoints where touched_at = '2026-01-01Z'",
    )
  ).map(({ id }) => id);

async function readAll(encryption: Encryption): Promise<string[]> {
  const endpoints = await database.query<{ id: string; headers: Buffer }>(
    'select id, headers from webhook_endpoints',
  );
  return [
    ...(await secrets()).map(({ id, ciphertext }) => encryption.open(ciphertext, secretPlace(id))),
    ...endpoints.map(({ id, headers }) => encryption.open(headers, headersPlace(id))),
  ].sort();
}

test('everything comes to be by the newest key, in many batches, and those who send read it again', async () => {
  await client.query('begin');
  for (let count = 0; count < 230; count++) await addEndpoint(byOlder);
  await client.query('commit');
  const current = await addEndpoint(both);
  const before = await readAll(both);
  expect(await reencrypt(opened, both)).toEqual({
    reencrypted: 690,
    damaged: [],
    countByKey: new Map([[newerName, 693]]),
  });
  expect(await readAll(byNewer)).toEqual(before);
  expect(await untouched()).toEqual([current]);
  expect(await reencrypt(opened, both)).toMatchObject({ reencrypted: 0 });
});

test('two at once end with the same', async () => {
  for (let count = 0; count < 20; count++) await addEndpoint(byOlder);
  const before = await readAll(both);
  const results = await Promise.all([reencrypt(opened, both), reencrypt(opened, both)]);
  expect(results.map(({ reencrypted }) => reencrypted).sort()).toEqual([0, 60]);
  expect(await readAll(byNewer)).toEqual(before);
});

test('what is by a key that is not there, or damaged, stays as it is and is told; the rest is done', async () => {
  await addEndpoint(byOlder);
  const lost = createEncryption([randomBytes(32)]);
  await addEndpoint(lost);
  const [damaged] = (await secrets()) as [SecretRow];
  await database.query('update webhook_secrets set ciphertext = $2 where id = $1', [
    damaged.id,
    Buffer.concat([damaged.ciphertext, Buffer.of(0)]),
  ]);
  expect(await reencrypt(opened, both)).toEqual({
    reencrypted: 2,
    damaged: [`webhook_secrets.ciphertext of ${damaged.id}`],
    countByKey: new Map([
      [newerName, 2],
      [olderName, 1],
      [lost.keyNames[0], 3],
    ]),
  });
});

test('a secret whose overlap is over holds no key back', async () => {
  await addEndpoint(byOlder, { expiresAt: '2026-01-01Z' });
  expect(await reencrypt(opened, both)).toMatchObject({
    reencrypted: 2,
    countByKey: new Map([[newerName, 2]]),
  });
});

test('the command says which key can go, fails while one is missing, and without any', async () => {
  await addEndpoint(byOlder);
  const keys = (...all: readonly Buffer[]) => all.map((key) => key.toString('base64')).join(',');
  const run = (HARBOR_ENCRYPTION_KEY: string) =>
    runHarbor(['webhooks', 'reencrypt'], { DATABASE_URL: database.url, HARBOR_ENCRYPTION_KEY });
  const early = await run(keys(newer));
  expect(early.code).toBe(1);
  expect(early.stderr).toContain(
    `3 are by the key ${olderName}, which is not in HARBOR_ENCRYPTION_KEY`,
  );
  const done = await run(keys(newer, older));
  expect(done.stdout).toContain(`3 re-encrypted by the newest key, ${newerName}`);
  expect(done.stdout).toContain(`the key ${olderName} can go`);
  expect(done.code).toBe(0);
  const after = await run(keys(newer));
  expect([after.code, after.stdout]).toEqual([
    0,
    `0 re-encrypted by the newest key, ${newerName}\n`,
  ]);
  expect((await run('')).stderr).toContain('HARBOR_ENCRYPTION_KEY is not set');
});

test('the command takes the key of a quick start where none is given', async () => {
  await addEndpoint(byOlder);
  const folder = await mkdtemp(join(tmpdir(), 'harbor-reencrypt-'));
  const environment = { DATABASE_URL: database.url, HARBOR_DATA_DIR: folder };
  const run = (more = {}) => runHarbor(['webhooks', 'reencrypt'], { ...environment, ...more });
  try {
    expect((await run()).stderr).toContain('HARBOR_ENCRYPTION_KEY is not set');
    await writeFile(join(folder, 'encryption.key'), `${older.toString('base64')}\n`);
    expect(await run()).toEqual({
      code: 0,
      stdout: `0 re-encrypted by the newest key, ${olderName}\n`,
      stderr: '',
    });
    const other = await run({ HARBOR_ENCRYPTION_KEY: newer.toString('base64') });
    expect(other.stderr).toContain(`3 are by the key ${olderName}, which is not in`);
  } finally {
    await rm(folder, { recursive: true });
  }
});
