import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runHarbor } from './support/harbor-cli.ts';
import { startTestService, type TestService, testWorkspaceId } from './support/test-service.ts';

const cli = resolve(import.meta.dirname, '../src/cli.ts');
let service: TestService;

beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

function env(): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    DATABASE_URL: service.database.url,
    HARBOR_BASE_URL: service.baseUrl,
    HARBOR_SECRET_KEY: service.secretKey,
    HARBOR_WORKSPACE_ID: testWorkspaceId,
  };
}

const harbor = (args: string[], input = '') => runHarbor(args, env(), { input });

test('keys create prints the secret and nothing else on stdout, and the key works', async () => {
  const { stdout, code } = await harbor([
    ...['keys', 'create', '--scope', 'events:write', '--type', 'invoice.*'],
    ...['--workspace', testWorkspaceId, '--expires', '2100-01-01', '--name', 'billing'],
  ]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^hbr_rk_[0-9A-Za-z]{49}\n$/);
  const create = (type: string) =>
    fetch(`${service.baseUrl}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stdout.trim()}`, 'content-type': 'application/json' },
      body: JSON.stringify({ workspace_id: testWorkspaceId, type, payload: {} }),
    });
  expect((await create('invoice.paid')).status).toBe(201);
  expect((await create('order.placed')).status).toBe(403);
});

test.each([
  ['secret', 'hbr_sk_', ['--scope', 'all']],
  ['restricted', 'hbr_rk_', ['--scope', 'all', '--workspace', testWorkspaceId]],
  ['secret', 'hbr_sk_', []],
])('keys create makes a %s key, %s…, for %j', async (kind, prefix, args) => {
  const { stdout, stderr } = await harbor(['keys', 'create', ...args]);
  const id = /key_\w+/.exec(stderr)?.[0] ?? '';
  expect(stdout).toMatch(new RegExp(`^${prefix}\\w{49}\n$`));
  const listed = (await harbor(['keys', 'list'])).stdout.trimEnd().split('\n');
  const scopes = args.includes('all') ? ['all'] : [];
  expect(listed.map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({ id, kind, scopes }),
  );
});

test('events erase takes away one event, or all about a subject, once that is said twice', async () => {
  const secret = await service.issueKey({ kind: 'secret', scopes: ['all'] });
  const run = (...args: string[]) =>
    runHarbor(['events', ...args], { ...env(), HARBOR_SECRET_KEY: secret }, {});
  const create = async (subject: string) => {
    const args = ['create', 'user.changed', '{"name":"Ada"}', '--subject', subject];
    return JSON.parse((await run(...args)).stdout);
  };
  const [one] = [await create("o'brien"), await create("o'brien"), await create('usr_2')];

  expect(await run('erase', one.id)).toMatchObject({
    code: 1,
    stderr: `harbor: payload, subject and metadata are gone for good then: if that is what you want, add --confirm ${one.id}\n`,
  });
  const { stdout } = await run('erase', one.id, '--confirm', one.id);
  expect(JSON.parse(stdout)).toMatchObject({
    id: one.id,
    payload: {},
    erased_at: expect.stringMatching(/T.*Z$/),
  });

  expect((await run('erase', '--subject', "o'brien")).stderr).toContain(
    `add --confirm 'o'\\''brien'`,
  );
  const bySubject = ['erase', '--subject', "o'brien", '--confirm', "o'brien"];
  expect(await run(...bySubject)).toMatchObject({ code: 0, stdout: 'erased 1 event\n' });
  expect((await run(...bySubject)).stdout).toBe('erased 0 events\n');
  const { stdout: left } = await run('list', '--subject', 'usr_2');
  expect(JSON.parse(left)).toMatchObject({ payload: { name: 'Ada' } });
  expect((await run('erase')).stderr).toContain('pass the id of an event, or --subject');
});

test('keys rotate prints the new secret and nothing else on stdout, and both work in the overlap', async () => {
  const create = await harbor(['keys', 'create', '--scope', 'events:read']);
  const id = /key_\w+/.exec(create.stderr)?.[0] ?? '';
  const rotate = await harbor(['keys', 'rotate', id, '--overlap', '24h']);
  expect(rotate.code).toBe(0);
  expect(rotate.stdout).toMatch(/^hbr_rk_[0-9A-Za-z]{49}\n$/);
  expect(rotate.stderr).toMatch(new RegExp(`^rotated ${id}; .* works until \\d{4}-`));
  for (const { stdout } of [create, rotate]) {
    const response = await fetch(`${service.baseUrl}/v1/events?workspace_id=${testWorkspaceId}`, {
      headers: { authorization: `Bearer ${stdout.trim()}` },
    });
    expect(response.status).toBe(200);
  }
});

test('keys update renames a key and lets it expire earlier, and leaves a record of it', async () => {
  const { stderr } = await harbor(['keys', 'create', '--expires', '2100-01-01']);
  const id = /key_\w+/.exec(stderr)?.[0] ?? '';
  const update = (...args: string[]) => harbor(['keys', 'update', id, ...args]);
  expect(await update('--name', 'Renamed', '--expires', '2090-01-01')).toMatchObject({ code: 0 });
  const listed = (await harbor(['keys', 'list'])).stdout.trimEnd().split('\n');
  expect(listed.map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({
      id,
      display_name: 'Renamed',
      expires_at: '2090-01-01T00:00:00.000Z',
    }),
  );
  expect(await update('--expires', '2095-01-01')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('must not be later than it was'),
  });
  expect(await update()).toMatchObject({
    code: 1,
    stderr: 'harbor: nothing to change: pass --name, --expires, or a limit such as --streams\n',
  });
  const records = await service.database.query(
    `select action, api_key_id, request_id, changes from audit_records where target_id = $1 order by id`,
    [id],
  );
  const byOperator = { api_key_id: null, request_id: '' };
  expect(records).toMatchObject([
    { ...byOperator, action: 'api_key.created' },
    { ...byOperator, action: 'api_key.updated', changes: { display_name: 'Renamed' } },
  ]);
});

test('keys revoke ends a key', async () => {
  const { stdout, stderr } = await harbor(['keys', 'create']);
  const id = /key_\w+/.exec(stderr)?.[0] ?? '';
  expect(await harbor(['keys', 'revoke', id])).toMatchObject({
    code: 0,
    stdout: `revoked ${id}\n`,
  });
  const response = await fetch(`${service.baseUrl}/v1/events/evt_1`, {
    headers: { authorization: `Bearer ${stdout.trim()}` },
  });
  expect(response.status).toBe(401);
});

test('workspaces create makes the id that was asked for, once', async () => {
  expect(await harbor(['workspaces', 'create', 'ws_cli'])).toMatchObject({ stdout: 'ws_cli\n' });
  expect(await harbor(['workspaces', 'create', 'ws_cli'])).toEqual({
    code: 1,
    stdout: '',
    stderr: 'harbor: workspace ws_cli exists already\n',
  });
});

test('keys list prints every key as a line of JSON, the newest first, and no secret', async () => {
  const { stdout: secret, stderr } = await harbor([
    ...['keys', 'create', '--name', 'listed', '--scope', 'events:read', 'events:write'],
    ...['--workspace', testWorkspaceId, '--type-pattern', 'invoice.*', '--expires', '2100-01-01'],
  ]);
  const id = /key_\w+/.exec(stderr)?.[0] ?? '';
  await harbor(['keys', 'revoke', id]);
  const { stdout } = await harbor(['keys', 'list']);
  const lines = stdout.trimEnd().split('\n');
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    id,
    kind: 'restricted',
    display_name: 'listed',
    hint: expect.any(String),
    scopes: ['events:read', 'events:write'],
    workspace_ids: [testWorkspaceId],
    type_patterns: ['invoice.*'],
    created_at: expect.stringMatching(/^\d{4}-.*Z$/),
    expires_at: '2100-01-01T00:00:00.000Z',
    revoked_at: expect.stringMatching(/^\d{4}-.*Z$/),
  });
  expect(lines.length).toBeGreaterThan(1);
  expect(stdout).not.toContain(secret.trim());
});

test('workspaces list prints each workspace with its last sequence', async () => {
  await harbor(['events', 'create', 'workspace.listed', '{}']);
  await harbor(['workspaces', 'create', 'ws_listed', '--name', 'Listed']);
  const { stdout } = await harbor(['workspaces', 'list']);
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const created_at = expect.any(String);
  expect(rows).toContainEqual({
    id: 'ws_listed',
    display_name: 'Listed',
    first_sequence: 1,
    last_sequence: 0,
    retention_days: 0,
    created_at,
  });
  const used = rows.find(({ id }) => id === testWorkspaceId);
  expect(used.last_sequence).toBeGreaterThan(0);
});

test('workspaces update changes name and retention; to shorten it asks for the id once more', async () => {
  await harbor(['workspaces', 'create', 'ws_kept', '--retention-days', '365']);
  const update = (...args: string[]) => harbor(['workspaces', 'update', 'ws_kept', ...args]);
  expect(await update('--retention-days', '30')).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'harbor: events older than 30 days are gone for good then: if that is what you want, add --confirm ws_kept\n',
  });
  expect(await update('--retention-days', '30', '--confirm', 'ws_kept')).toMatchObject({ code: 0 });
  expect(await update('--retention-days', 'forever', '--name', 'Kept')).toMatchObject({ code: 0 });
  const records = await service.database.query(
    `select api_key_id, action, changes from audit_records where target_id = 'ws_kept' order by id`,
  );
  expect(records).toMatchObject([
    { api_key_id: null, action: 'workspace.created', changes: { retention_days: '365' } },
    { action: 'workspace.updated', changes: { retention_days: '30' } },
    { action: 'workspace.updated', changes: { retention_days: '0', display_name: 'Kept' } },
  ]);
});

test('workspaces delete asks for the id once more, and then deletes', async () => {
  await harbor(['workspaces', 'create', 'ws_over']);
  const remove = (...args: string[]) => harbor(['workspaces', 'delete', 'ws_over', ...args]);
  for (const args of [[], ['--confirm', 'ws_other']]) {
    expect(await remove(...args)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('add --confirm ws_over'),
    });
  }
  expect(await remove('--confirm', 'ws_over')).toMatchObject({
    code: 0,
    stdout: 'deleted ws_over\n',
  });
  expect((await harbor(['workspaces', 'list'])).stdout).not.toContain('ws_over');
});

test('events get prints one event, and says in one line that there is none', async () => {
  const created = await harbor(['events', 'create', 'event.got', '{"n":1}']);
  const { id } = JSON.parse(created.stdout);
  expect(await harbor(['events', 'get', id])).toMatchObject({ code: 0, stdout: created.stdout });
  const missing = await harbor(['events', 'get', 'evt_01hzy9q7x8f4']);
  expect(missing).toMatchObject({ code: 1, stdout: '' });
  expect(missing.stderr).toMatch(/^harbor: .*evt_01hzy9q7x8f4.*\n$/);
});

test('--version prints the version of the package', async () => {
  const { version } = JSON.parse(
    await readFile(resolve(import.meta.dirname, '../package.json'), 'utf8'),
  );
  expect(await harbor(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test('events create says what it is told of an event, and list finds it by its subject', async () => {
  const facts = ['--subject', 'inv_7', '--occurred-at', '2026-05-25T13:58:03.000125+02:00'];
  const metadata = ['--metadata', 'origin=cli', '--metadata', 'note=a=b c'];
  const created = await harbor(['events', 'create', 'facts.told', ...facts, ...metadata, '{}']);
  const event = JSON.parse(created.stdout);
  expect(event).toMatchObject({
    type: 'facts.told',
    subject: 'inv_7',
    occurred_at: '2026-05-25T11:58:03.000125Z',
    metadata: { origin: 'cli', note: 'a=b c' },
    api_key_id: expect.stringMatching(/^key_/),
  });
  await harbor(['events', 'create', 'facts.told', '{}']);
  expect(await harbor(['events', 'list', '--subject', 'inv_7'])).toEqual(created);
  for (const name of ['--type-pattern', '--type']) {
    const { stdout } = await harbor(['events', 'list', name, 'facts.*', 'facts', '--limit', '1']);
    expect(stdout).toBe(created.stdout);
  }
  const get = (workspace: string) => harbor(['events', 'get', event.id, '--workspace', workspace]);
  expect(await get(testWorkspaceId)).toEqual(created);
  expect(await get('ws_another')).toMatchObject({ code: 1, stdout: '' });
});

test.each([
  [['--metadata', 'novalue'], 'It must be a name, "=" and a value.'],
  [['--metadata', 'a=1', '--metadata', 'a=2'], '"a" is there twice.'],
  [
    ['--occurred-at', '2026-02-30T00:00:00Z'],
    "option '--occurred-at <time>' argument '2026-02-30T00:00:00Z' is invalid. It must be a time",
  ],
  [['--subject', ''], 'subject must not be empty'],
])('events create refuses %j, and says why', async (options, message) => {
  const refused = await harbor(['events', 'create', 'facts.refused', ...options, '{}']);
  expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(message) });
});

test('events create takes its payload from standard input and list prints it as a line of JSON', async () => {
  const args = ['events', 'create', 'cli.tested', '--key', 'from the cli'];
  const created = await harbor(args, '{"invoice_id": "inv_1"}');
  const again = await harbor(args, '{"invoice_id": "inv_1"}');
  expect(again.stdout).toBe(created.stdout);
  const listed = await harbor(['events', 'list', '--type', 'cli.*']);
  expect(JSON.parse(listed.stdout)).toMatchObject({
    type: 'cli.tested',
    workspace_id: testWorkspaceId,
    payload: { invoice_id: 'inv_1' },
  });
});

test('events create refuses an integer that would be rounded, and takes one beyond 2^53 that is exact', async () => {
  const create = (n: string) => harbor(['events', 'create', 'cli.counted', `{"n":[${n}]}`]);
  const { code, stderr } = await create('9007199254740993');
  expect(code).toBe(1);
  expect(stderr).toBe(
    'harbor: the payload holds 9007199254740993, which would be rounded: write it as a string\n',
  );
  expect((await create('9007199254740994')).stdout).toContain('{"n":[9007199254740994]}');
});

test('events tail prints what is there after a sequence, and then each event as it comes', async () => {
  await harbor(['events', 'create', 'tail.first', '{}']);
  const child = spawn(
    process.execPath,
    [cli, 'events', 'tail', '--after', '0', '--type', 'tail.*'],
    {
      env: env(),
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value ?? '').type;
  expect(await next()).toBe('tail.first');
  await harbor(['events', 'create', 'tail.second', '{}']);
  expect(await next()).toBe('tail.second');
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test.each([
  [['events', 'create', 'a', '{'], 'harbor: the payload is not JSON'],
  [['events', 'create', 'a', '5'], 'no JSON object, such as {"invoice_id":"inv_1"}'],
  [['events', 'create', 'a', 'null'], 'harbor: the payload is no JSON object'],
  [['events', 'create', 'a', '[]'], 'harbor: the payload is no JSON object'],
  [['keys', 'create', '--kind', 'restricted'], 'harbor: scopes must name at least one scope'],
  [['keys', 'create', '--scope', 'everything'], 'is invalid'],
  [['keys', 'create', '--kind', 'secret', '--scope', 'events:erase'], 'or "all" alone'],
  [['keys', 'create', '--workspace', 'ws_test'], 'must name at least one scope'],
  [['keys', 'create', '--expires', '2100-02-30'], 'It must be a time to come'],
  [['keys', 'create', '--expires', '2100-01-01T24:00:00Z'], 'It must be a time to come'],
  [['keys', 'revoke', 'key_none'], 'harbor: no API key key_none'],
  [['keys', 'rotate', 'key_none'], 'harbor: no API key key_none'],
  [
    ['keys', 'rotate', 'key_none', '--overlap', '8d'],
    'such as 90s, 30m, 24h or 7d, and at most 7d',
  ],
  [['keys', 'create', '--name', 'a\nb'], 'without control characters'],
  [['workspaces', 'create', 'WS'], 'must be ws_'],
  [['workspaces', 'create', '--retention-days', '6'], 'must be 7–36500 days, or "forever"'],
  [['workspaces', 'update', 'ws_test'], 'harbor: nothing to change'],
  [['workspaces', 'delete', 'ws_none', '--confirm', 'ws_none'], 'harbor: no workspace ws_none'],
  [['unknown'], "unknown command 'unknown'"],
])('harbor %j says in one line what is wrong, and exits 1', async (args, text) => {
  const { code, stderr } = await harbor(args);
  expect(code).toBe(1);
  expect(stderr).toContain(text);
  expect(stderr).not.toMatch(/\n\s+at /);
});
