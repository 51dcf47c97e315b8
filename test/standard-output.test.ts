import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';

const moduleUrl = new URL('../src/standard-output.ts', import.meta.url).href;

/** Writes 40 MB before anybody can have read a byte, and lives until its input ends. */
const program = `
  const { createStandardOutput } = await import(${JSON.stringify(moduleUrl)});
  const output = createStandardOutput();
  for (let n = 0; n < 40_000; n++) output.write(String(n).padStart(999, '.') + '\\n');
  process.stdin.resume().on('end', () => process.exit(0));`;

test('8 MiB wait for a reader, as whole lines, the oldest; what comes after them is dropped', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = Math.floor((8 * 1024 * 1024) / 1_000);
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  const output = text(child.stdout);
  await expect.poll(() => bytes).toBe(lines * 1_000);
  child.stdin.end();
  expect(await once(child, 'exit')).toEqual([0, null]);
  const expected = Array.from({ length: lines }, (_, n) => `${String(n).padStart(999, '.')}\n`);
  expect((await output) === expected.join('')).toBe(true);
});
