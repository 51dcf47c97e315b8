import { type Observer, unobserved } from '../observer.ts';
import { type LimitOwner, type MetLimit, RateLimited } from './rate-limit-errors.ts';
import { burstSecondsOf, type RateLimits } from './rate-limits.ts';
import { leftToTell, type Standing } from './standing.ts';
import { TokenBucket } from './token-bucket.ts';

/** Who is limited. */
export interface Limited {
  readonly owner: LimitOwner;
  /** `key_…` or `ws_…`. */
  readonly id: string;
  readonly limits: RateLimits | undefined;
}

/**
 * How much each limit has refused of the same call so far, creates or bytes, by whose limit it is: it comes again together
 * with what is refused after it.
 */
export type RefusedBefore = Map<string, number>;

/**
 * Holds API keys and workspaces to their limits, in this process alone. What has no limit costs it nothing.
 *
 * What several have a limit for is taken of all of them, or of none.
 */
export interface RateLimiter {
  /** For the gate, which knows neither workspace nor size. @throws RateLimited where not even the smallest create passes. */
  assertMayCreate(one: Limited): void;
  /**
   * Takes one create.
   *
   * @throws RateLimited, with the wait until this one and those that were refused before it pass together, or as many
   * as pass together at all.
   */
  takeCreate(all: readonly Limited[], refused?: RefusedBefore): void;
  /** Takes the bytes of a create: passes while anything is left. @throws RateLimited, with the wait as for creates. */
  takeBytes(all: readonly Limited[], bytes: number, refused?: RefusedBefore): void;
  /** For the gate. @throws RateLimited */
  assertMayStream(one: Limited): void;
  /** Takes a place for a stream of each, until what it returns is called. @throws RateLimited */
  openStream(all: readonly Limited[]): () => void;
  /** How they stand at this moment: what creates are held to, or streams. */
  standingOf(all: readonly Limited[], what: 'creates' | 'streams'): Standing[];
  /** Looks at the next 2,000 buckets, and lets go of those that are full again, which are as good as none. */
  sweep(): void;
  /** How many have a bucket: at most 50,000. */
  readonly held: number;
}

type RateLimit = Exclude<MetLimit, 'streams'>;
const rateLimits = ['creates_per_second', 'create_bytes_per_second'] as const;

interface Buckets {
  creates_per_second?: TokenBucket;
  create_bytes_per_second?: TokenBucket;
}

/** Some 30 MB of buckets. Beyond them one of the others begins afresh, full. */
const heldMax = 50_000;
/** At once: a millisecond or two. */
const sweptMax = 2_000;
/** Nobody knows when a stream ends: long enough that a crowd that waits for a place costs little. */
const streamRetryMs = 5_000;

/** @param elapsedMs a clock that never jumps. */
export function createRateLimiter(
  elapsedMs: () => number = () => performance.now(),
  observer: Pick<Observer, 'rateLimited'> = unobserved,
): RateLimiter {
  /** By id of their owner. */
  const buckets = new Map<string, Buckets>();
  /** Goes round and round, through what is put in meanwhile as well. */
  let cursor = buckets.entries();
  /** Streams that are open, by id of their owner: of everybody, since a limit may come while they are. */
  const streams = new Map<string, number>();

  /** The bucket of a limit that there is, filled up to now; undefined: there is no such limit. */
  function findBucket({ id, limits }: Limited, limit: RateLimit): TokenBucket | undefined {
    const perSecond =
      limit === 'creates_per_second' ? limits?.createsPerSecond : limits?.createBytesPerSecond;
    if (perSecond === undefined) return undefined;
    const rate = { perSecond, capacity: perSecond * burstSecondsOf(limits) };
    const nowMs = elapsedMs();
    let held = buckets.get(id);
    if (held === undefined) {
      held = {};
      if (buckets.size >= heldMax) buckets.delete(nextHeld()?.[0] ?? '');
      buckets.set(id, held);
    }
    held[limit] = held[limit]?.settle(nowMs, rate) ?? new TokenBucket(rate, nowMs);
    return held[limit];
  }

  function nextHeld(): readonly [string, Buckets] | undefined {
    let next = cursor.next();
    if (next.done === true) {
      cursor = buckets.entries();
      next = cursor.next();
    }
    return next.value;
  }

  function refuse({ owner, limits }: Limited, limit: MetLimit, retryAfterMs: number): never {
    const max = {
      creates_per_second: limits?.createsPerSecond,
      create_bytes_per_second: limits?.createBytesPerSecond,
      streams: limits?.streams,
    };
    const refusal = new RateLimited(owner, limit, max[limit] ?? 0, Math.max(1, retryAfterMs));
    observer.rateLimited(refusal);
    throw refusal;
  }

  /** Takes of all where each has one left. */
  function take(
    all: readonly Limited[],
    limit: RateLimit,
    { tokens, refused }: { readonly tokens: number; readonly refused: RefusedBefore | undefined },
  ): void {
    const found = all.map((one) => findBucket(one, limit));
    for (const [index, one] of all.entries()) {
      const bucket = found[index];
      if (bucket === undefined || bucket.left >= 1) continue;
      const name = `${limit} of ${one.id}`;
      const before = refused?.get(name) ?? 0;
      refused?.set(name, before + tokens);
      refuse(one, limit, bucket.msUntil(before + 1));
    }
    for (const bucket of found) bucket?.take(tokens);
  }

  function assertMayStream(one: Limited): void {
    const max = one.limits?.streams;
    if (max !== undefined && (streams.get(one.id) ?? 0) >= max) {
      refuse(one, 'streams', streamRetryMs);
    }
  }

  function standingOfStreams({ owner, id, limits }: Limited): Standing[] {
    if (limits?.streams === undefined) return [];
    const { streams: quota } = limits;
    const left = leftToTell(owner, quota - (streams.get(id) ?? 0));
    return [{ owner, limit: 'streams', quota, windowSeconds: undefined, left, resetMs: undefined }];
  }

  function standingOfRate(one: Limited, limit: RateLimit): Standing[] {
    const bucket = findBucket(one, limit);
    if (bucket === undefined) return [];
    const { owner } = one;
    const left = leftToTell(owner, bucket.left);
    const resetMs = bucket.msUntil(bucket.left < 1 ? 1 : bucket.capacity);
    const windowSeconds = burstSecondsOf(one.limits);
    return [{ owner, limit, quota: bucket.capacity, windowSeconds, left, resetMs }];
  }

  return {
    get held() {
      return buckets.size;
    },

    assertMayCreate(one) {
      for (const limit of rateLimits) {
        const bucket = findBucket(one, limit);
        if (bucket !== undefined && bucket.left < 1) refuse(one, limit, bucket.msUntil(1));
      }
    },

    takeCreate(all, refused) {
      take(all, 'creates_per_second', { tokens: 1, refused });
    },

    takeBytes(all, bytes, refused) {
      take(all, 'create_bytes_per_second', { tokens: bytes, refused });
    },

    assertMayStream,

    openStream(all) {
      for (const one of all) assertMayStream(one);
      for (const { id } of all) streams.set(id, (streams.get(id) ?? 0) + 1);
      let isOpen = true;
      return () => {
        if (!isOpen) return;
        isOpen = false;
        for (const { id } of all) {
          const others = (streams.get(id) ?? 1) - 1;
          if (others > 0) streams.set(id, others);
          else streams.delete(id);
        }
      };
    },

    standingOf(all, what) {
      if (what === 'streams') return all.flatMap(standingOfStreams);
      return all.flatMap((one) => rateLimits.flatMap((limit) => standingOfRate(one, limit)));
    },

    sweep() {
      const nowMs = elapsedMs();
      const isFull = (bucket: TokenBucket | undefined) => bucket?.settle(nowMs).isFull !== false;
      for (let left = Math.min(sweptMax, buckets.size); left > 0; left--) {
        const [id, held] = nextHeld() ?? [];
        if (id === undefined) return;
        if (rateLimits.every((limit) => isFull(held?.[limit]))) buckets.delete(id);
      }
    },
  };
}
