import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const vitest = resolve(root, 'node_modules/vitest/vitest.mjs');
const config = resolve(root, 'test/support/closing-line/vitest.config.ts');

test('a run closes with its counts, and before them names what passed only when it was tried again', async () => {
  const run = promisify(execFile)(process.execPath, [vitest, 'run', '--config', config], {
    cwd: root,
  });
  await expect(run).rejects.toMatchObject({
    code: 1,
    stdout: expect.stringMatching(
      /\nflaky, passed when tried again: outcomes\.fixture\.ts > wobbles\n1 passed, 1 failed, 1 skipped\n$/,
    ),
  });
});

test('only tests of faults are tried again, and only in the gate', async () => {
  const retriesWith = async (CI: string | undefined) => {
    const script = `import('./vitest.config.ts').then(({ default: { test } }) =>
      console.log(JSON.stringify(test.projects.map(({ test }) => [test.name, test.retry ?? 0]))))`;
    const { CI: _, ...env } = process.env;
    const run = promisify(execFile)(process.execPath, ['-e', script], {
      cwd: root,
      env: { ...env, ...(CI !== undefined && { CI }) },
    });
    return JSON.parse((await run).stdout);
  };
  expect(await retriesWith('true')).toEqual([
    ['tests', 0],
    ['faults', 1],
  ]);
  expect(await retriesWith(undefined)).toEqual([
    ['tests', 0],
    ['faults', 0],
  ]);
});
