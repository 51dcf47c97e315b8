import { beforeEach, describe, expect, test } from 'vitest';
import { RateLimited } from '../../src/rate-limits/rate-limit-errors.ts';
import {
  createRateLimiter,
  type Limited,
  type RateLimiter,
  type RefusedBefore,
} from '../../src/rate-limits/rate-limiter.ts';
import type { RateLimits } from '../../src/rate-limits/rate-limits.ts';

let nowMs: number;
let limiter: RateLimiter;

beforeEach(() => {
  nowMs = 0;
  limiter = createRateLimiter(() => nowMs);
});

const key = (id: string, limits: RateLimits | undefined): Limited => ({
  owner: 'api_key',
  id,
  limits,
});
const workspace = (id: string, limits: RateLimits | undefined): Limited => ({
  owner: 'workspace',
  id,
  limits,
});

/** What a call is refused with; undefined: it passes. */
function refusalOf(
  work: () => void,
): Pick<RateLimited, 'owner' | 'limit' | 'retryAfterMs'> | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (!(error instanceof RateLimited)) throw error;
    const { owner, limit, retryAfterMs } = error;
    return { owner, limit, retryAfterMs };
  }
}

/** How many of so many creates pass at this moment. */
function countPassing(all: readonly Limited[], wanted: number): number {
  let passing = 0;
  for (let one = 0; one < wanted; one++) {
    if (refusalOf(() => limiter.takeCreate(all)) === undefined) passing++;
  }
  return passing;
}

const slow = { createsPerSecond: 2, burstSeconds: 5 };

describe('creates', () => {
  test('pass at once as a burst, and then at their rate', () => {
    const one = key('key_a', slow);
    expect(countPassing([one], 100)).toBe(10);
    nowMs = 1_000;
    expect(countPassing([one], 100)).toBe(2);
    nowMs = 60_000;
    expect(countPassing([one], 100)).toBe(10);
  });

  test('of a key that names no burst pass for ten seconds at once', () => {
    expect(countPassing([key('key_a', { createsPerSecond: 3 })], 100)).toBe(30);
  });

  test('of keys with a limit of their own wait for none of another', () => {
    expect(countPassing([key('key_a', slow)], 100)).toBe(10);
    expect(countPassing([key('key_b', slow)], 100)).toBe(10);
  });

  test('of two keys in a workspace share its limit, and what the workspace refuses costs a key nothing', () => {
    const there = workspace('ws_a', slow);
    const own = key('key_a', { createsPerSecond: 1, burstSeconds: 7 });
    expect(countPassing([key('key_b', undefined), there], 9)).toBe(9);
    expect(countPassing([own, there], 100)).toBe(1);
    expect(countPassing([own], 100)).toBe(6);
  });

  test('that the key refuses cost its workspace nothing', () => {
    const there = workspace('ws_a', slow);
    expect(countPassing([key('key_a', { createsPerSecond: 1, burstSeconds: 1 }), there], 100)).toBe(
      1,
    );
    expect(countPassing([key('key_b', undefined), there], 100)).toBe(9);
  });

  test('are refused with whose limit it was, which one, and when the next one passes', () => {
    const one = key('key_a', slow);
    countPassing([one], 10);
    const refusal = { owner: 'api_key', limit: 'creates_per_second', retryAfterMs: 500 };
    expect(refusalOf(() => limiter.takeCreate([one]))).toEqual(refusal);
    expect(refusalOf(() => limiter.assertMayCreate(one))).toEqual(refusal);
    nowMs = 499;
    expect(refusalOf(() => limiter.takeCreate([one]))).toEqual({ ...refusal, retryAfterMs: 1 });
    nowMs = 500;
    expect(refusalOf(() => limiter.takeCreate([one]))).toBeUndefined();
  });

  test('of a batch that are refused are told to wait until all of them pass together, or a whole burst', () => {
    const one = key('key_a', slow);
    const refused: RefusedBefore = new Map();
    countPassing([one], 10);
    const waits = Array.from({ length: 12 }, () =>
      refusalOf(() => limiter.takeCreate([one], refused)),
    );
    expect(waits.map((wait) => wait?.retryAfterMs)).toEqual([
      500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500, 4_000, 4_500, 5_000, 5_000, 5_000,
    ]);
  });

  test('of a batch wait for none that another limit has refused', () => {
    const [there, elsewhere] = [workspace('ws_a', slow), workspace('ws_b', slow)];
    countPassing([there], 10);
    countPassing([elsewhere], 10);
    const refused: RefusedBefore = new Map();
    const waitIn = (one: Limited) => refusalOf(() => limiter.takeCreate([one], refused));
    const waits = [there, there, elsewhere, there].map((one) => waitIn(one)?.retryAfterMs);
    expect(waits).toEqual([500, 1_000, 500, 1_500]);
  });

  test('are asked for at the gate without being taken', () => {
    const one = key('key_a', { createsPerSecond: 1, burstSeconds: 1 });
    for (let asked = 0; asked < 10; asked++) limiter.assertMayCreate(one);
    expect(countPassing([one], 10)).toBe(1);
  });
});

describe('bytes', () => {
  const limits = { createBytesPerSecond: 1_024, burstSeconds: 2 };

  test('pass while any are left, also an event that is larger than the burst, and those after it wait', () => {
    const one = key('key_a', limits);
    limiter.takeBytes([one], 2_047);
    limiter.takeBytes([one], 262_144);
    const wait = { owner: 'api_key', limit: 'create_bytes_per_second', retryAfterMs: 256_000 };
    expect(refusalOf(() => limiter.takeBytes([one], 2))).toEqual(wait);
    expect(refusalOf(() => limiter.assertMayCreate(one))).toEqual(wait);
    nowMs = 255_999;
    expect(refusalOf(() => limiter.takeBytes([one], 2))).toBeDefined();
    nowMs = 256_000;
    expect(refusalOf(() => limiter.takeBytes([one], 2))).toBeUndefined();
  });

  test('of a batch that are refused are told to wait for those before them', () => {
    const one = key('key_a', limits);
    const refused: RefusedBefore = new Map();
    limiter.takeBytes([one], 2_048);
    const waits = Array.from({ length: 4 }, () =>
      refusalOf(() => limiter.takeBytes([one], 1_024, refused)),
    );
    expect(waits.map((wait) => wait?.retryAfterMs)).toEqual([1, 1_001, 2_000, 2_000]);
  });
});

describe('streams', () => {
  const one = key('key_a', { streams: 2 });
  const there = workspace('ws_a', { streams: 3 });

  test('have a place until they end, and end once', () => {
    const leave = limiter.openStream([one]);
    limiter.openStream([one]);
    const refusal = { owner: 'api_key', limit: 'streams', retryAfterMs: 5_000 };
    expect(refusalOf(() => limiter.openStream([one]))).toEqual(refusal);
    expect(refusalOf(() => limiter.assertMayStream(one))).toEqual(refusal);
    leave();
    leave();
    limiter.openStream([one]);
    expect(refusalOf(() => limiter.openStream([one]))).toEqual(refusal);
  });

  test('of several keys share the places of their workspace, and one that is refused takes none', () => {
    limiter.openStream([key('key_b', undefined), there]);
    limiter.openStream([one, there]);
    limiter.openStream([one, there]);
    expect(refusalOf(() => limiter.openStream([key('key_c', { streams: 1 }), there]))?.owner).toBe(
      'workspace',
    );
    expect(refusalOf(() => limiter.openStream([key('key_c', { streams: 1 })]))).toBeUndefined();
  });

  test('that were open before there was a limit count as well', () => {
    limiter.openStream([key('key_a', undefined)]);
    limiter.openStream([key('key_a', undefined)]);
    expect(refusalOf(() => limiter.openStream([one]))?.limit).toBe('streams');
  });
});

describe('what is told', () => {
  test('of a key is all of its own', () => {
    const one = key('key_a', { ...slow, createBytesPerSecond: 2_000, streams: 4 });
    limiter.takeCreate([one]);
    limiter.takeBytes([one], 500);
    limiter.openStream([one]);
    expect(limiter.standingOf([one], 'creates')).toEqual([
      {
        owner: 'api_key',
        limit: 'creates_per_second',
        quota: 10,
        windowSeconds: 5,
        left: 9,
        resetMs: 500,
      },
      {
        owner: 'api_key',
        limit: 'create_bytes_per_second',
        quota: 10_000,
        windowSeconds: 5,
        left: 9_500,
        resetMs: 250,
      },
    ]);
    expect(limiter.standingOf([one], 'streams')).toEqual([
      {
        owner: 'api_key',
        limit: 'streams',
        quota: 4,
        windowSeconds: undefined,
        left: 3,
        resetMs: undefined,
      },
    ]);
  });

  test('of a workspace is its limit, and nothing of what other keys do, until nothing is left', () => {
    const there = workspace('ws_a', slow);
    countPassing([there], 9);
    const [before] = limiter.standingOf([there], 'creates');
    expect(before).toMatchObject({ quota: 10, left: undefined });
    countPassing([there], 1);
    const [after] = limiter.standingOf([there], 'creates');
    expect(after).toMatchObject({ quota: 10, left: 0, resetMs: 500 });
  });
});

describe('memory', () => {
  test('is held for nobody without limits', () => {
    for (let id = 0; id < 1_000; id++) {
      limiter.takeCreate([key(`key_${id}`, undefined)]);
      limiter.takeBytes([workspace(`ws_${id}`, { streams: 1 })], 10);
    }
    expect(limiter.held).toBe(0);
  });

  test('is let go once a bucket is full again', () => {
    const one = key('key_a', slow);
    limiter.takeCreate([one]);
    limiter.takeCreate([key('key_b', { createsPerSecond: 1 })]);
    nowMs = 500;
    limiter.sweep();
    expect(limiter.held).toBe(1);
    nowMs = 1_000;
    limiter.sweep();
    expect(limiter.held).toBe(0);
    expect(countPassing([one], 100)).toBe(10);
  });

  test('is let go a little at a time, however much of it there is', () => {
    const limits = { createsPerSecond: 1, burstSeconds: 1 };
    for (let id = 0; id < 10_000; id++) limiter.takeCreate([key(`key_${id}`, limits)]);
    nowMs = 1_000;
    const held = Array.from({ length: 6 }, () => {
      limiter.sweep();
      return limiter.held;
    });
    expect(held).toEqual([8_000, 6_000, 4_000, 2_000, 0, 0]);
  });

  test('is found where others are let go and come meanwhile', () => {
    const limits = { createsPerSecond: 1, burstSeconds: 1 };
    const long = { createsPerSecond: 1, burstSeconds: 3_600 };
    for (let id = 0; id < 5_000; id++) {
      limiter.takeCreate([key(`key_${id}`, id % 2 === 0 ? limits : long)]);
    }
    expect(countPassing([key('key_1', long)], 3_600)).toBe(3_599);
    nowMs = 1_000;
    for (let round = 0; round < 4; round++) {
      limiter.sweep();
      limiter.takeCreate([key(`key_new${round}`, limits)]);
    }
    // One token has come in for all; key_1 alone had taken more than that, and new ones are not full yet.
    expect(limiter.held).toBe(1 + 4);
    expect(countPassing([key('key_1', long)], 3_600)).toBe(1);
  });

  test('is held for 50,000 at the most, and those beyond them take the place of others', () => {
    const limits = { createsPerSecond: 1, burstSeconds: 1 };
    for (let id = 0; id < 60_000; id++) limiter.takeCreate([key(`key_${id}`, limits)]);
    expect(limiter.held).toBe(50_000);
    expect(countPassing([key('key_59999', limits)], 1)).toBe(0);
    expect(countPassing([key('key_0', limits)], 1)).toBe(1);
    expect(limiter.held).toBe(50_000);
  });
});
