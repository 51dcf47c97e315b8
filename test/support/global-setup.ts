import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { openDatabase } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const tsc = join(root, 'node_modules/typescript/bin/tsc');

declare module 'vitest' {
  interface ProvidedContext {
    /** A PostgreSQL whose user may create databases; holds `harbor_template`, migrated and empty. */
    postgresUrl: string;
  }
}

/** Starts one PostgreSQL for all test files, or takes the one of TEST_DATABASE_URL. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // Once, before any test reads it: what is packed and imported is the SDK of these sources.
  await run(process.execPath, [tsc, '--project', join(root, 'sdk')]);
  const { url, stop } = await findPostgres();
  await makeTemplate(url);
  project.provide('postgresUrl', url);
  return stop;
}

async function findPostgres(): Promise<{ url: string; stop: () => Promise<void> }> {
  const given = process.env.TEST_DATABASE_URL;
  if (given !== undefined) return { url: given, stop: async () => undefined };
  const directory = await mkdtemp(join(tmpdir(), 'harbor-test-'));
  const server = await startEmbeddedPostgres({
    directory,
    database: 'harbor',
    settings: { max_connections: '300' },
  });
  return {
    url: server.url,
    async stop() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function makeTemplate(url: string): Promise<void> {
  const admin = new pg.Client(url);
  await admin.connect();
  await admin.query('drop database if exists harbor_template with (force)');
  await admin.query('create database harbor_template');
  await admin.end();
  const template = new URL(url);
  template.pathname = '/harbor_template';
  const database = await openDatabase({
    url: template.href,
    poolSize: 2,
    applicationName: 'harbor-test-template',
    onNotice: () => undefined,
  });
  await migrate(database);
  await database.close();
}
