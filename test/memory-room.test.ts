import { expect, test } from 'vitest';
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
