import { type Client, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  AuditService,
  type ListAuditRecordsRequest,
} from '../gen/typescript/harbor/audit/v1/audit_service_pb.ts';
import { type AuditedChange, operator, recordAudit } from '../src/audit/index.ts';
import { type Database, openDatabase } from '../src/database/database.ts';
import { newId } from '../src/type-id.ts';
import { createTransport } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { runHarbor } from './support/harbor-cli.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
let database: Database;
/** May read all of the audit. */
let auditor: Client<typeof AuditService>;

beforeAll(async () => {
  service = await startTestService();
  database = await openDatabase({
    url: service.database.url,
    poolSize: 4,
    applicationName: 'harbor-audit-test',
    onNotice: () => undefined,
  });
  auditor = await auditorOf([]);
});
afterAll(async () => {
  await database.close();
  await service.stop();
});

async function auditorOf(workspaceIds: readonly string[]): Promise<Client<typeof AuditService>> {
  const secret = await service.issueKey({ scopes: ['audit:read'], workspaceIds });
  return createClient(AuditService, createTransport('grpc', service.baseUrl, secret));
}

function change(rest: Partial<AuditedChange> = {}): AuditedChange {
  return {
    actor: operator,
    action: 'workspace.updated',
    targetId: 'ws_test',
    workspaceIds: ['ws_test'],
    changes: {},
    ...rest,
  };
}

/** The next record is of a later millisecond: of the same one neither is the newer one. */
async function record(rest: Partial<AuditedChange>): Promise<void> {
  await database.inTransaction((tx) => recordAudit(tx, change(rest)));
  const recordedAtMs = Date.now();
  await expect.poll(() => Date.now(), { interval: 1 }).toBeGreaterThan(recordedAtMs);
}

/** Adds records as fast as a statement can, one for each list of workspaces. */
function fill(targetId: string, workspaceIds: readonly (readonly string[])[], changes = {}) {
  return service.database.query(
    `insert into audit_records
       (id, recorded_at, action, request_id, target_id, workspace_ids, changes)
     select id, now(), 'event.erased', '', $1, string_to_array(workspaces, ','), $4
     from unnest($2::uuid[], $3::text[]) as t (id, workspaces)`,
    [
      targetId,
      workspaceIds.map((_, n) => `0192ac4e-8b1d-7000-8000-${String(n).padStart(12, '0')}`),
      workspaceIds.map((ids) => ids.join(',')),
      changes,
    ],
  );
}

/** Every page until the end: how many records each holds, and whose they are. */
async function walk(
  client: Client<typeof AuditService>,
  request: Partial<Pick<ListAuditRecordsRequest, 'workspaceId' | 'targetId' | 'pageSize'>>,
) {
  const pages: string[][] = [];
  let pageToken = '';
  do {
    const page = await client.listAuditRecords({ ...request, pageToken });
    pages.push(page.auditRecords.map(({ workspaceIds }) => workspaceIds.join(' ')));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return pages;
}

test('a record tells who did what to what, with the new values as text', async () => {
  const apiKeyId = newId('key');
  const targetId = newId('key');
  await record({
    actor: { apiKeyId, requestId: 'req_7' },
    action: 'api_key.created',
    targetId,
    workspaceIds: ['ws_b', 'ws_a'],
    changes: {
      display_name: `it's $1 ? 'quoted' \\`,
      scopes: ['events:read', 'events:write'],
      expires_at: new Date('2100-01-01T00:00:00Z'),
      retention_days: 7,
      type_patterns: undefined,
    },
  });
  const { auditRecords, nextPageToken } = await auditor.listAuditRecords({ targetId });
  expect(nextPageToken).toBe('');
  expect(auditRecords).toEqual([
    expect.objectContaining({
      id: expect.stringMatching(/^aud_[0-9a-z]{26}$/),
      action: 'api_key.created',
      apiKeyId,
      requestId: 'req_7',
      targetId,
      workspaceIds: ['ws_a', 'ws_b'],
      changes: {
        display_name: `it's $1 ? 'quoted' \\`,
        scopes: 'events:read, events:write',
        expires_at: '2100-01-01T00:00:00.000Z',
        retention_days: '7',
      },
    }),
  ]);
  const [clock] = await service.database.query<{ ms: number }>(
    'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms',
  );
  const recordedMs = Number(auditRecords[0]?.recordedAt?.seconds) * 1000;
  expect((clock?.ms ?? 0) - recordedMs).toBeLessThan(60_000);
});

test('what whoever runs the service does has neither a key nor a request', async () => {
  await record({ targetId: 'ws_operated' });
  const { auditRecords } = await auditor.listAuditRecords({ targetId: 'ws_operated' });
  expect(auditRecords).toMatchObject([{ apiKeyId: '', requestId: '' }]);
});

test('a change that fails leaves no record', async () => {
  const work = database.inTransaction(async (tx) => {
    await recordAudit(tx, change({ targetId: 'ws_failed' }));
    throw new Error('refused');
  });
  await expect(work).rejects.toThrow('refused');
  expect((await auditor.listAuditRecords({ targetId: 'ws_failed' })).auditRecords).toEqual([]);
});

test.each([
  'update audit_records set action = action',
  'delete from audit_records',
  'truncate audit_records',
])('the audit only grows: %s is refused', async (statement) => {
  await expect(service.database.query(statement)).rejects.toThrow('append-only');
});

test('a key that is restricted to workspaces is shown only records that concern no others', async () => {
  const lists = [['ws_p'], ['ws_p', 'ws_q'], ['ws_q'], ['ws_p', 'ws_r'], ['ws_r'], []];
  const restricted = await auditorOf(['ws_p', 'ws_q']);
  const ofItself = 'ws_p ws_q';
  for (const workspaceIds of lists) await record({ targetId: 'key_shown', workspaceIds });
  const shown = ['ws_q', 'ws_p ws_q', 'ws_p'];
  expect(await walk(restricted, { targetId: 'key_shown' })).toEqual([shown]);
  expect(await walk(restricted, {})).toEqual([[...shown, ofItself]]);
  expect(await walk(restricted, { workspaceId: 'ws_q' })).toEqual([
    ['ws_q', 'ws_p ws_q', ofItself],
  ]);
  expect(await walk(auditor, { targetId: 'key_shown' })).toEqual([
    lists.map((ids) => ids.join(' ')).reverse(),
  ]);
  expect(await walk(auditor, { workspaceId: 'ws_r' })).toEqual([['ws_r', 'ws_p ws_r']]);
  expect(await refusalOf(restricted.listAuditRecords({ workspaceId: 'ws_r' }))).toMatchObject({
    code: 'PermissionDenied',
    reason: 'WORKSPACE_NOT_ALLOWED',
  });
});

test('pages follow each other without a repeat, and a token serves its own list only', async () => {
  for (let n = 0; n < 5; n++) {
    await record({ targetId: 'ws_paged', workspaceIds: [`ws_${n}`] });
  }
  const pages = await walk(auditor, { targetId: 'ws_paged', pageSize: 2 });
  expect(pages).toEqual([['ws_4', 'ws_3'], ['ws_2', 'ws_1'], ['ws_0']]);
  const { nextPageToken: pageToken } = await auditor.listAuditRecords({
    targetId: 'ws_paged',
    pageSize: 2,
  });
  const other = auditor.listAuditRecords({ targetId: 'ws_test', pageToken });
  expect(await refusalOf(other)).toMatchObject({
    reason: 'INVALID_REQUEST',
    fields: ['page_token'],
  });
});

test('a page ends early where all that is read concerns others, and what is there is found all the same', async () => {
  const hidden = Array.from({ length: 2_500 }, () => ['ws_mine', 'ws_theirs']);
  await fill('key_rare', [['ws_mine'], ...hidden]);
  const pages = await walk(await auditorOf(['ws_mine']), { pageSize: 1 });
  const ofItself = ['ws_mine'];
  expect(pages).toEqual([ofItself, [], [], ['ws_mine']]);
});

test('a page ends early where its records are large', async () => {
  await database.inTransaction(async (tx) => {
    for (let n = 0; n < 60; n++) {
      const changes = { type_patterns: 'x'.repeat(50_000) };
      await recordAudit(tx, change({ targetId: 'key_large', changes }));
    }
  });
  const pages = await walk(auditor, { targetId: 'key_large' });
  expect(pages.flat()).toHaveLength(60);
  for (const page of pages) expect(page.length).toBeLessThan(25);
});

test('the audit is read by keys that have its scope only', async () => {
  const client = createClient(
    AuditService,
    createTransport('connect json', service.baseUrl, await service.issueKey({ kind: 'secret' })),
  );
  expect(await refusalOf(client.listAuditRecords({}))).toMatchObject({
    code: 'PermissionDenied',
    reason: 'SCOPE_MISSING',
    metadata: { scope: 'audit:read' },
  });
});

test('harbor audit list prints records as lines of JSON, the newest first', async () => {
  await record({ targetId: 'ws_first', workspaceIds: ['ws_cli'], changes: { display_name: 'a' } });
  await record({ targetId: 'ws_other', workspaceIds: ['ws_cli', 'ws_q'] });
  await record({ targetId: 'ws_unseen', workspaceIds: ['ws_q', 'ws_p'] });
  const env = { PATH: process.env.PATH, DATABASE_URL: service.database.url };
  const list = async (...args: string[]) => {
    const { stdout } = await runHarbor(['audit', 'list', ...args], env);
    return stdout.trimEnd().split('\n');
  };
  const lines = await list('--workspace', 'ws_cli');
  expect(lines.map((line) => JSON.parse(line).target_id)).toEqual(['ws_other', 'ws_first']);
  expect(await list('--target', 'ws_first')).toEqual(lines.slice(1));
  expect(JSON.parse(lines[1] ?? '')).toEqual({
    id: expect.stringMatching(/^aud_/),
    recorded_at: expect.stringMatching(/^\d{4}-.*Z$/),
    action: 'workspace.updated',
    target_id: 'ws_first',
    workspace_ids: ['ws_cli'],
    changes: { display_name: 'a' },
  });
});
