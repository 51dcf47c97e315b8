import { expect, test } from 'vitest';
import { createCursorLags } from '../../src/webhooks/delivery/cursor-lags.ts';
import type { Cursor } from '../../src/webhooks/delivery/target.ts';

const minute = 60_000;
const none = { none: 0, under_1m: 0, under_10m: 0, under_1h: 0, under_1d: 0, over_1d: 0 };

/** Cursors at the given places of one log, and a clock that is set by hand. */
function createLab(...scanned: number[]) {
  const cursors = scanned.map((place) => ({ scanned: place, isReplay: false }) as Cursor);
  let nowMs = 0;
  const lags = createCursorLags({ cursorsOf: () => new Set(cursors) }, () => nowMs);
  return {
    cursors,
    lags,
    look(atMs: number, lastSequence: number) {
      nowMs = atMs;
      lags.look(new Map([['ws_a', { lastSequence, firstSequence: 1 }]]));
    },
  };
}

test('a cursor is as far behind as the oldest event is old that it has not come to', () => {
  const { cursors, lags, look } = createLab(10, 10);
  lags.read();
  look(0, 10);
  expect(lags.read()).toEqual({ cursors: { ...none, none: 2 }, maxMs: 0 });
  look(1_000, 12);
  look(2_000, 20);
  (cursors[1] as Cursor).scanned = 15;
  look(5 * minute, 20);
  const ages = { cursors: { ...none, under_10m: 2 }, maxMs: 5 * minute - 1_000 };
  expect(lags.read()).toEqual(ages);
  // What has come meanwhile makes nobody older; whoever goes on is as old as what comes next.
  (cursors[0] as Cursor).scanned = 12;
  look(5 * minute, 30);
  expect(lags.read().maxMs).toBe(5 * minute - 2_000);
  for (const cursor of cursors) cursor.scanned = 30;
  look(6 * minute, 30);
  expect(lags.read()).toEqual({ cursors: { ...none, none: 2 }, maxMs: 0 });
});

test('a busy log whose cursors keep up is never long behind', () => {
  const { cursors, lags, look } = createLab(0);
  lags.read();
  for (let second = 1; second <= 3_600; second++) {
    (cursors[0] as Cursor).scanned = (second - 1) * 100;
    look(second * 1_000, second * 100);
    expect(lags.read().maxMs).toBe(0);
  }
});

test('days of growth behind a cursor that stands are kept in a few numbers, and their age is right', () => {
  const { cursors, lags, look } = createLab(0);
  lags.read();
  const hours = 30;
  for (let second = 1; second <= hours * 3_600; second++) {
    look(second * 1_000, second);
    lags.read();
  }
  const now = hours * 60 * minute;
  expect(lags.read()).toEqual({ cursors: { ...none, over_1d: 1 }, maxMs: now - 1_000 });
  for (const hoursAgo of [20, 10, 1, 0.1]) {
    (cursors[0] as Cursor).scanned = (hours - hoursAgo) * 3_600;
    look(now, hours * 3_600);
    const { maxMs } = lags.read();
    const ageMs = hoursAgo * 60 * minute;
    expect(maxMs).toBeGreaterThan(ageMs * 0.99);
    expect(maxMs).toBeLessThan(ageMs * 1.25);
  }
});

test('nothing is kept while nobody asks', () => {
  const { lags, look } = createLab(0);
  look(0, 10);
  look(minute, 20);
  expect(lags.read()).toEqual({ cursors: none, maxMs: 0 });
  look(2 * minute, 20);
  look(3 * minute, 20);
  expect(lags.read()).toEqual({ cursors: { ...none, under_10m: 1 }, maxMs: minute });
  look(60 * minute, 20);
  expect(lags.read()).toEqual({ cursors: none, maxMs: 0 });
});

test('replays are no lag, and a log that was set back begins anew', () => {
  const { cursors, lags, look } = createLab(0, 0);
  Object.assign(cursors[1] as Cursor, { isReplay: true });
  lags.read();
  look(0, 10);
  look(5 * minute, 5);
  expect(lags.read()).toEqual({ cursors: { ...none, under_1m: 1 }, maxMs: 0 });
});
