import { expect, test } from 'vitest';
import { createAppendLanes, type Entry } from '../src/events/append/append-lanes.ts';
import { prepareEvent } from '../src/events/event.ts';

let turn = 0;

function entryOf(workspaceId: string): Entry {
  return {
    event: prepareEvent({ workspaceId, type: 'test', payload: {}, idempotencyKey: undefined }),
    turn: turn++,
    askedAtMs: 0,
    state: 'waiting',
    contended: undefined,
    resolve: () => undefined,
    reject: () => undefined,
    noteLost: () => undefined,
    putBack: () => undefined,
  };
}

function enter(lanes: ReturnType<typeof createAppendLanes>, counts: Record<string, number>): void {
  for (const [workspaceId, count] of Object.entries(counts)) {
    for (let n = 0; n < count; n++) lanes.enter(entryOf(workspaceId));
  }
}

/** How many creates of each workspace a batch holds. */
function countsOf(batch: readonly Entry[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { event } of batch) {
    counts[event.workspaceId] = (counts[event.workspaceId] ?? 0) + 1;
  }
  return counts;
}

test('a crowd of one workspace is written by itself, and those who come alone together without it', () => {
  const lanes = createAppendLanes();
  enter(lanes, { ws_crowd: 400, ws_one: 1, ws_two: 3 });
  expect(countsOf(lanes.takeBatch())).toEqual({ ws_one: 1, ws_two: 3 });
  expect(countsOf(lanes.takeBatch())).toEqual({ ws_crowd: 400 });
  expect(lanes.takeBatch()).toEqual([]);
});

test('crowds and those who come alone take turns, so that neither keeps out the other', () => {
  const lanes = createAppendLanes();
  enter(lanes, { ws_crowd: 1_200, ws_one: 1 });
  expect(countsOf(lanes.takeBatch())).toEqual({ ws_one: 1 });
  lanes.land('ws_one', 'done');
  enter(lanes, { ws_one: 1 });
  expect(countsOf(lanes.takeBatch())).toEqual({ ws_crowd: 500 });
  expect(countsOf(lanes.takeBatch())).toEqual({ ws_one: 1 });
});

test('of several crowds each has its turn', () => {
  const lanes = createAppendLanes();
  enter(lanes, { ws_a: 700, ws_b: 100 });
  expect(countsOf(lanes.takeBatch())).toEqual({ ws_a: 500 });
  lanes.land('ws_a', 'done');
  expect(countsOf(lanes.takeBatch())).toEqual({ ws_b: 100 });
  expect(countsOf(lanes.takeBatch())).toEqual({ ws_a: 200 });
});
