import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { divideMemory } from '../src/memory-room.ts';
import { batchBytesMax, responseBytesMax } from '../src/server/limits.ts';

const mebibyte = 1024 * 1024;
const sumOf = (heapBytes: number) => {
  const { streams, ...bytes } = divideMemory(heapBytes);
  expect(streams).toBeGreaterThan(2_000);
  return Object.values(bytes).reduce((sum, one) => sum + one, 0);
};

test('with the heap of a large machine, a process holds 992 MiB at the most', () => {
  // What Node takes by itself from 16 GB of memory on.
  expect(sumOf(4_288 * mebibyte)).toBe(992 * mebibyte);
  expect(divideMemory(4_288 * mebibyte)).toEqual(divideMemory(64 * 1024 * mebibyte));
});

test('with a smaller heap it holds less of everything', () => {
  const [large, small] = [divideMemory(4_288 * mebibyte), divideMemory(1_216 * mebibyte)];
  for (const name of Object.keys(large) as (keyof typeof large)[]) {
    expect(small[name]).toBeLessThan(large[name]);
  }
  expect(sumOf(1_216 * mebibyte)).toBeLessThan(300 * mebibyte);
});

test('with a heap of 256 MB it holds 147 MiB, and has room for the largest call there is', () => {
  // 256 MB for the old, and what Node adds for the young.
  const room = divideMemory(448 * mebibyte);
  expect(sumOf(448 * mebibyte)).toBeLessThanOrEqual(147 * mebibyte);
  // One API key, or workspace, has half of each.
  expect(room.bodies / 2).toBeGreaterThanOrEqual(1.5 * batchBytesMax);
  expect(room.creates / 2).toBeGreaterThanOrEqual(batchBytesMax);
  expect(room.answers).toBeGreaterThanOrEqual(responseBytesMax);
});

test.each([200, 256, 448, 1_072, 2_096, 4_144, 8_192])(
  'with a heap of %i MiB, what it holds at the most leaves a quarter of it',
  (mebibytes) => {
    const { streams: _, ...bytes } = divideMemory(mebibytes * mebibyte);
    const sum = Object.values(bytes).reduce((all, one) => all + one, 0);
    expect(sum).toBeLessThanOrEqual(0.75 * mebibytes * mebibyte);
  },
);

const root = resolve(import.meta.dirname, '..');
const page = readFileSync(resolve(root, 'docs/running-in-production.md'), 'utf8');
const rows = [...page.matchAll(/^\| (\d+) GiB +\| `(--max-old[^`]+)` +\| (\d+) MiB/gm)].map(
  ([, container, options, held]) => ({
    container: Number(container),
    options: `${options}`,
    held: Number(held),
  }),
);

test('the page tells of containers of 1, 2, 4 and 8 GiB', () => {
  expect(rows.map(({ container }) => container)).toEqual([1, 2, 4, 8]);
});

test.each(rows)('a process with $options holds the $held MiB of the page', ({ options, held }) => {
  const script = `
    const { divideMemory } = await import(${JSON.stringify(resolve(root, 'src/memory-room.ts'))});
    console.log(JSON.stringify(divideMemory()));`;
  const printed = execFileSync(
    process.execPath,
    [...options.split(' '), '--input-type=module', '--eval', script],
    { encoding: 'utf8', env: { PATH: process.env.PATH } },
  );
  const { streams: _, ...bytes } = JSON.parse(printed) as ReturnType<typeof divideMemory>;
  const sum = Object.values(bytes).reduce((all, one) => all + one, 0);
  expect(Math.round(sum / mebibyte)).toBe(held);
});

test('Compose gives the service the memory, and Node the heap, of one row of the page', () => {
  const { services } = parse(readFileSync(resolve(root, 'docs/compose.yaml'), 'utf8'));
  const [row] = rows;
  expect(services.harbor.mem_limit).toBe(`${row?.container}g`);
  expect(services.harbor.environment.NODE_OPTIONS).toBe(row?.options);
});

test('Kubernetes gives the service the memory, and Node the heap, of one row of the page', () => {
  const manifest = readFileSync(resolve(root, 'docs/kubernetes.yaml'), 'utf8');
  const [row] = rows;
  expect(manifest).toContain(`limits: { memory: ${row?.container}Gi }`);
  expect(manifest).toContain(`{ name: NODE_OPTIONS, value: ${row?.options} }`);
});
