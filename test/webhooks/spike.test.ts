import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { createEventLogStore, createEventStore } from '../../src/events/index.ts';
import { createCommitNews } from '../../src/events/commit-news.ts';
import { createLoopTurns } from '../../src/loop-turns.ts';
import { createLog } from '../../src/log.ts';
import { startPeriodic } from '../../src/periodic.ts';
import { newUuid } from '../../src/type-id.ts';
import { createWebhooksFeature } from '../../src/webhooks/webhooks.feature.ts';
import { createEncryption } from '../../src/webhooks/signing/encryption.ts';
import { secretPlace } from '../../src/webhooks/signing/request-headers.ts';
import { newWebhookSecret } from '../../src/webhooks/signing/sign.ts';
import { fillLog } from '../support/filled-log.ts';
import { createTestDatabase } from '../support/test-database.ts';

test('spike', { timeout: 60_000 }, async () => {
  const testDatabase = await createTestDatabase();
  const database = await openDatabase({ url: testDatabase.url, poolSize: 8, applicationName: 't', onNotice: console.log });
  const seen = new Map<string, number>();
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      const id = String(request.headers['harbor-sequence']);
      seen.set(id, (seen.get(id) ?? 0) + 1);
      response.writeHead(204).end();
    });
  }).listen(0, '127.0.0.1');
  await new Promise((r) => server.once('listening', r));
  const { port } = server.address() as AddressInfo;
  const key = randomBytes(32);
  const encryption = createEncryption([key]);
  const q = testDatabase.query;
  await q(`insert into workspaces (id, display_name, created_at) values ('ws_a','',now())`);
  await q(`create table webhook_attempts_all partition of webhook_attempts for values from (minvalue) to (maxvalue)`);
  const id = newUuid(); const secretId = newUuid();
  await q(`insert into webhook_endpoints (id, workspace_id, url, description, type_patterns, header_names, max_in_flight, timeout_ms, ordering, status, status_changed_at, created_at, updated_at)
    values ($1,'ws_a',$2,'','{}','{}',1000,15000,'none','enabled',now(),now(),now())`, [id, `http://127.0.0.1:${port}/hooks`]);
  await q(`insert into webhook_secrets (id, workspace_id, endpoint_id, ciphertext, created_at) values ($1,'ws_a',$2,$3,now())`, [secretId, id, encryption.encrypt(newWebhookSecret(), secretPlace(secretId))]);
  await q(`insert into webhook_states (endpoint_id, workspace_id) values ($1,'ws_a')`, [id]);
  await q(`insert into webhook_cursors (id, workspace_id, endpoint_id, kind, state, position, first_sequence, type_patterns, created_at) values ($1,'ws_a',$1,'live','running',0,1,'{}',now())`, [id]);
  const total = 50_000;
  await fillLog(testDatabase, 'ws_a', Array.from({ length: total }, () => ({ type: 'fed', payload: { a: 1, b: 'x'.repeat(150) } })));
  const log = createLog('info', { write: (line) => console.log(line) });
  const commits = createCommitNews(console.error);
  const feature = createWebhooksFeature(
    { database, log, report: (w) => (e) => console.error(w, e), turns: createLoopTurns() },
    { commits, logs: createEventLogStore(database.statements), events: createEventStore(database.statements), encryptionKeys: [key], allowCidrs: ['127.0.0.0/8'], denyCidrs: [], authorities: [] },
  );
  const t0 = performance.now(); const cpu0 = process.cpuUsage();
  const loops = feature.loops.map((l) => startPeriodic({ ...l, onError: console.error }));
  while (seen.size < total && performance.now() - t0 < 40_000) await new Promise((r) => setTimeout(r, 50));
  const s = (performance.now() - t0) / 1000; const cpu = process.cpuUsage(cpu0);
  console.log('delivered', seen.size, 'in', s, 's', seen.size / s, '/s; cpu µs each (with receiver)', (cpu.user + cpu.system) / seen.size);
  await Promise.all(loops.map((l) => l.stop()));
  await feature.close?.();
  console.log(await q('select count(*) from webhook_attempts'), await q('select * from webhook_states'), await q('select * from webhook_cursors'), await q('select count(*) from webhook_windows'));
  server.close();
  await database.close();
  await testDatabase.drop();
  expect(seen.size).toBe(total);
});
