import { describe, expect, test } from 'vitest';
import { DatabaseUnavailable } from '../src/database-unavailable.ts';
import { createGatheredReads } from '../src/gathered-reads.ts';

/** Statements that are answered when the test says so; the value of a key is the key. */
function startReads(waitingMax = 10_000) {
  const statements: { keys: readonly string[]; answer: () => void; fail: (e: Error) => void }[] =
    [];
  const reads = createGatheredReads<string>({
    waitingMax,
    full: () => new Error('full'),
    read: (keys) =>
      new Promise((resolve, reject) => {
        const answer = () => resolve(new Map(keys.map((key) => [key, key])));
        statements.push({ keys, answer, fail: reject });
      }),
  });
  return { reads, statements };
}

const inFlight = (statements: unknown[], count: number) =>
  expect.poll(() => statements.length).toBe(count);

describe('reads that wait together', () => {
  test('are one statement at a time, of 500 keys at the most', async () => {
    const { reads, statements } = startReads();
    const keys = Array.from({ length: 1_201 }, (_, n) => `${n}`);
    const found = Promise.all(keys.map((key) => reads.find(key)));
    for (const [turn, size] of [500, 500, 201].entries()) {
      await inFlight(statements, turn + 1);
      expect(statements[turn]?.keys).toHaveLength(size);
      statements[turn]?.answer();
    }
    expect(await found).toEqual(keys);
    expect(statements).toHaveLength(3);
  });

  test('of one key are one read, also of those who ask while it is in flight', async () => {
    const { reads, statements } = startReads();
    const first = reads.find('k');
    await inFlight(statements, 1);
    const second = reads.find('k');
    statements[0]?.answer();
    expect(await Promise.all([first, second])).toEqual(['k', 'k']);
    expect(statements).toHaveLength(1);
  });

  test('are answered a few at a time, so that others have their turns in between', async () => {
    const { reads, statements } = startReads();
    let answered = 0;
    const all = Array.from({ length: 500 }, (_, n) => reads.find(`${n}`).then(() => answered++));
    await inFlight(statements, 1);
    const answeredByTurn: number[] = [];
    const turn = () => {
      answeredByTurn.push(answered);
      if (answered < 500) setImmediate(turn);
    };
    setImmediate(turn);
    statements[0]?.answer();
    await Promise.all(all);
    const most = answeredByTurn.map((count, index) => count - (answeredByTurn[index - 1] ?? 0));
    expect(answeredByTurn.length).toBeGreaterThan(10);
    expect(Math.max(...most)).toBeLessThanOrEqual(50);
  });

  test('are refused once too many wait, and taken on when those were answered', async () => {
    const { reads, statements } = startReads(3);
    const waiting = ['a', 'b', 'b'].map((key) => reads.find(key));
    await expect(reads.find('a')).rejects.toThrow('full');
    await inFlight(statements, 1);
    await expect(reads.find('c')).rejects.toThrow('full');
    statements[0]?.answer();
    expect(await Promise.all(waiting)).toEqual(['a', 'b', 'b']);
    const next = reads.find('c');
    await inFlight(statements, 2);
    statements[1]?.answer();
    expect(await next).toBe('c');
  });

  test('fail with the statement before them, whose failure would only be theirs again', async () => {
    const { reads, statements } = startReads();
    const first = reads.find('a');
    await inFlight(statements, 1);
    const behind = reads.find('b');
    statements[0]?.fail(new DatabaseUnavailable('gone', { sent: true }));
    await expect(first).rejects.toBeInstanceOf(DatabaseUnavailable);
    await expect(behind).rejects.toBeInstanceOf(DatabaseUnavailable);
    const after = reads.find('c');
    await inFlight(statements, 2);
    statements[1]?.answer();
    expect(await after).toBe('c');
  });
});
