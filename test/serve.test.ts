import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runHarbor } from './support/harbor-cli.ts';
import { startTestService } from './support/test-service.ts';

const root = resolve(import.meta.dirname, '..');

let dataDirectory: string;
beforeEach(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'harbor-serve-'));
});
afterEach(() => rm(dataDirectory, { recursive: true, force: true }));

const serve = (args: string[], env: Record<string, string>) =>
  runHarbor(['serve', ...args], { HARBOR_DATA_DIR: dataDirectory, ...env });

test('serve without DATABASE_URL names that first, and starts no database', async () => {
  const { code, stdout, stderr } = await serve([], { PORT: 'eighty', LOG_LEVEL: 'loud' });
  expect(code).toBe(1);
  const lines = stderr.trimEnd().split('\n');
  expect(lines[0]).toBe('harbor: the environment is not valid:');
  expect(lines[1]).toMatch(/^ {2}DATABASE_URL: is not set; .* --embedded /);
  expect(lines).toHaveLength(4);
  expect(stdout).toBe('');
  expect(await readdir(dataDirectory)).toEqual([]);
});

test('serve --embedded beside a DATABASE_URL is refused: nobody can tell which is meant', async () => {
  const { code, stderr } = await serve(['--embedded'], {
    DATABASE_URL: 'postgresql://127.0.0.1:1/harbor',
  });
  expect(code).toBe(1);
  expect(stderr).toContain('DATABASE_URL: is set, while --embedded');
});

test('serve --embedded starts a PostgreSQL of its own', async () => {
  // Its port is not one of this machine's, which is found out last of all.
  const env = { HOST: '192.0.2.1', LOG_LEVEL: 'info' };
  const { code, stdout, stderr } = await serve(['--embedded'], env);
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('192.0.2.1') });
  expect(JSON.parse(stdout.split('\n')[0] ?? '')).toMatchObject({
    database: { name: 'harbor', schema: null },
  });
});

test('the first line of the log names database, version and schema, and no password', async () => {
  const service = await startTestService();
  await service.stop();
  const { hostname, port, password } = new URL(service.database.url);
  expect(service.logLines[0]).toMatchObject({
    msg: 'using this database',
    database: {
      host: `${hostname}:${port}`,
      name: service.database.name,
      version: expect.stringMatching(/^\d+\.\d+/),
      schema: expect.stringMatching(/^\d{4}-/),
    },
  });
  if (password) expect(JSON.stringify(service.logLines)).not.toContain(password);
});

/** A Node on this machine that cannot run the service, or undefined. */
function findOlderNode(): string | undefined {
  const folders = (process.env.PATH ?? '')
    .split(':')
    .filter((one) => !one.includes('node_modules'));
  return folders
    .map((folder) => join(folder, 'node'))
    .find((path) => {
      try {
        return Number(execFileSync(path, ['--version']).toString().slice(1).split('.')[0]) < 24;
      } catch {
        return false;
      }
    });
}

const olderNode = findOlderNode();

test.runIf(olderNode !== undefined)(
  'under an older Node the way in says in one line what to run instead',
  async () => {
    const { code, stderr } = await runHarbor(['serve'], {}, { node: olderNode });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^harbor: this is Node \d.*"npm start".*\n$/);
    expect(stderr.split('\n')).toHaveLength(2);
  },
);

test('what runs the service in production is installed without development packages', async () => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  expect(lock.packages['node_modules/node']).toMatchObject({ version: expect.any(String) });
  expect(lock.packages['node_modules/node'].dev).toBeUndefined();
  const { engines, dependencies, scripts } = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  );
  expect(`>=${dependencies.node}`).toBe(engines.node);
  // `npm ci --omit=dev` runs it too, without a compiler.
  execFileSync('sh', ['-c', scripts.prepare], { cwd: root, env: { PATH: '/usr/bin:/bin' } });
});
