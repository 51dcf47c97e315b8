import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { schemaLock } from '../support/schema-lock.ts';
import { createTestDatabase } from '../support/test-database.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');

test('a SIGTERM while another process migrates ends the start at once, as a stop', async () => {
  const database = await createTestDatabase();
  const migrating = await database.connect();
  await migrating.query('drop schema public cascade; create schema public');
  await migrating.query('select pg_advisory_lock($1)', [schemaLock]);
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, DATABASE_URL: database.url, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const closed = once(child, 'close');
  await expect
    .poll(() =>
      database.query(`select from pg_stat_activity
        where datname = current_database() and query like '%pg_try_advisory_lock%'
          and pid <> pg_backend_pid()`),
    )
    .not.toEqual([]);
  child.kill('SIGTERM');
  expect(await closed).toEqual([0, null]);
  expect(output).toContain('"stopped"');
  expect(output).not.toMatch(/harbor:|listening/);
  await migrating.end();
  await database.drop();
});
