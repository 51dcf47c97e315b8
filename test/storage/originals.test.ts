import { afterAll, beforeAll, expect, test } from 'vitest';
import { toParts } from '../../src/events/append/append-batch.ts';
import { createAppendWriter } from '../../src/events/append/append-writer.ts';
import { type Appended, type PreparedEvent, prepareEvent } from '../../src/events/event.ts';
import { IdempotencyKeyReused } from '../../src/events/event-errors.ts';
import { createAppendQueue, createEventStore, type EventStore } from '../../src/events/index.ts';
import { createEventReader } from '../../src/events/log/event-reader.ts';
import { createLoopTurns } from '../../src/loop-turns.ts';
import { unobserved } from '../../src/observer.ts';
import { newId } from '../../src/type-id.ts';
import { countStatements } from '../support/counted-store.ts';
import { openTestLogStore, type TestLogStore } from '../support/log-store.ts';

let opened: TestLogStore;
let store: EventStore;
let large: readonly PreparedEvent[];
let originals: readonly Appended[];

/** 60 events of 200 KB, whose keys are taken: 12 MB. */
beforeAll(async () => {
  opened = await openTestLogStore();
  store = createEventStore(opened.database.statements);
  await opened.testDatabase.query(
    `insert into workspaces (id, display_name, created_at) values ('ws_1', '', now())`,
  );
  const queue = createAppendQueue(store);
  large = Array.from({ length: 60 }, (_, n) => event(`${n}`, { note: `${n}`.repeat(100_000) }));
  originals = await Promise.all(large.map((one) => queue.append(one)));
});
afterAll(async () => {
  await opened.stop();
});

function event(idempotencyKey: string, payload: Record<string, string>): PreparedEvent {
  return prepareEvent({ workspaceId: 'ws_1', type: 'tested', payload, idempotencyKey });
}

/** What a query may bring, and one payload more. */
const bytesMax = 4 * 1024 * 1024 + 256 * 1024;

test('of keys that are used for other content no original is read', async () => {
  const counted = countStatements(store);
  const queue = createAppendQueue(counted);
  const reused = large.map((_, n) => queue.append(event(`${n}`, { other: 'content' })));
  const outcomes = await Promise.allSettled(reused);
  expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason)).toEqual(
    large.map(() => expect.any(IdempotencyKeyReused)),
  );
  expect(counted.reads).toEqual([]);
});

test('a batch of replays reads its originals 4 MiB at a time, and nothing else', async () => {
  const counted = countStatements(store);
  const answers = large.map(() => Promise.withResolvers<Appended>());
  const waiting = large.map((one, turn) => ({
    event: turn === 0 ? event('0', { other: 'content' }) : one,
    turn,
    askedAtMs: performance.now(),
    noteLost: () => undefined,
    putBack: () => undefined,
    ...(answers[turn] as PromiseWithResolvers<Appended>),
  }));
  const writing = createAppendWriter({
    store: counted,
    onCommitted: () => undefined,
    turns: createLoopTurns(),
    observer: unobserved,
  }).write(toParts(waiting), {
    lockMsMax: 1_000,
    endsAtMs: performance.now() + 30_000,
    isDetour: false,
    onLeft: () => undefined,
  });
  const outcomes = await Promise.allSettled(answers.map(({ promise }) => promise));
  await writing;
  expect(outcomes[0]).toMatchObject({ reason: expect.any(IdempotencyKeyReused) });
  expect(outcomes.slice(1)).toEqual(
    originals.slice(1).map((original) => ({
      status: 'fulfilled',
      value: { ...original, replayed: true },
    })),
  );
  expect(new Set(counted.reads.flat())).not.toContain(originals[0]?.event.id);
  expect(counted.bytesRead.length).toBeGreaterThan(2);
  expect(Math.max(...counted.bytesRead)).toBeLessThan(bytesMax);
});

test('events that are read by id at once come 4 MiB at a time, each of them once', async () => {
  const counted = countStatements(store);
  const reader = createEventReader(counted);
  const found = await Promise.all(originals.map((one) => reader.find(one.event.id)));
  expect(found).toEqual(originals.map((one) => one.event));
  expect(counted.bytesRead.length).toBeGreaterThan(2);
  expect(Math.max(...counted.bytesRead)).toBeLessThan(bytesMax);
  const read = counted.bytesRead.reduce((sum, bytes) => sum + bytes, 0);
  const all = large.reduce((sum, { contentBytes }) => sum + contentBytes, 0);
  expect(read).toBe(all);
});

test('a crowd of reads waits for as long as it moves on', async () => {
  const slow: Pick<EventStore, 'read'> = {
    async read(...values) {
      await opened.testDatabase.query('select pg_sleep(0.1)');
      return store.read(...values);
    },
  };
  const reader = createEventReader(slow, {
    turnMsMax: 400,
    answerMsMax: 10_000,
    silentMs: 10_000,
  });
  // Eight queries, for which the last ones wait for 700 ms at the least.
  const ids = Array.from({ length: 500 }, () => newId('evt'));
  expect(await Promise.all(ids.map((id) => reader.find(id)))).toEqual(ids.map(() => undefined));
});
