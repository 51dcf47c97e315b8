import { expect, test } from 'vitest';
import { createSignalReader } from '../src/stop-on-signal.ts';

test('two SIGINTs within a second are one Ctrl-C, which npm passes on; a later one does not wait', () => {
  const read = createSignalReader();
  expect(read('SIGINT', 10_000)).toBe('stop');
  expect(read('SIGINT', 10_005)).toBe('nothing');
  expect(read('SIGINT', 11_000)).toBe('nothing');
  expect(read('SIGINT', 11_001)).toBe('exit');
});

test('only SIGINT, a person at a terminal, hurries a stop', () => {
  const read = createSignalReader();
  expect(read('SIGTERM', 0)).toBe('stop');
  expect(read('SIGTERM', 60_000)).toBe('nothing');
  expect(read('SIGHUP', 60_000)).toBe('nothing');
  expect(read('SIGINT', 60_000)).toBe('exit');
});
