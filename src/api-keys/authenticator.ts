import { LRUCache } from 'lru-cache';
import { createGatheredReads } from '../gathered-reads.ts';
import type { Caller } from './api-key.ts';
import { ApiKeyInvalid, ApiKeyLookUpsFull, ApiKeyMissing } from './api-key-errors.ts';
import type { CallerStore } from './caller-store.ts';
import { hashSecret, isWellFormedSecret } from './secret.ts';

/**
 * How long an answer about a key is believed. With a statement of at most 1.5 s, a revocation is effective
 * in every process within 5 s.
 */
const believedForMs = 3_000;
/** A key that was found within this time is looked up apart from those that nobody may know. */
const knownForMs = 60 * 60_000;
const keysMax = 10_000;
/** A key with all that the contract allows, 100 patterns of 255 characters, takes 120 KB. */
const usualBytesMax = 64 * 1024 * 1024;
/** Calls that wait for a look-up, in each lane: more than are taken on once their key is known. */
const waitingMax = 5_000;

/** Tells who calls, from the header `authorization`. */
export interface Authenticator {
  /**
   * The caller, at once when the key was looked up within the last 3 seconds.
   *
   * @throws ApiKeyMissing, ApiKeyInvalid, ApiKeyLookUpsFull, DatabaseUnavailable. A key that is missing or
   * malformed costs no database call.
   */
  authenticate(authorization: string | null): Caller | Promise<Caller>;
}

/** Times of day for when a key expires; times that never jump for how old an answer is. */
export interface Clock {
  readonly now: () => number;
  readonly elapsedMs: () => number;
}

interface Known {
  readonly caller: Caller;
  readonly foundAtMs: number;
}

export const processClock: Clock = { now: Date.now, elapsedMs: () => performance.now() };

/**
 * Keys are looked up by the hundred, in two lanes with a statement in flight each: one for those that were
 * found within the last hour, one for strangers. So whoever floods the service with keys that nobody has
 * waits behind others of his kind, and crowds nobody out of what is remembered.
 */
export function createAuthenticator(
  store: Pick<CallerStore, 'findCallers'>,
  { now, elapsedMs }: Clock = processClock,
  knownBytesMax: number = usualBytesMax,
): Authenticator {
  const known = new LRUCache<string, Known>({
    max: keysMax,
    maxSize: knownBytesMax,
    sizeCalculation: ({ caller }) => sizeOf(caller),
    ttl: knownForMs,
  });
  // Remembered too, so that a flood with one of them does not reach the database.
  const unknown = new LRUCache<string, true>({ max: keysMax, ttl: believedForMs });
  const createLane = () =>
    createGatheredReads({ read, waitingMax, full: () => new ApiKeyLookUpsFull() });
  const regulars = createLane();
  const strangers = createLane();

  async function read(hashes: readonly string[]): Promise<ReadonlyMap<string, Caller>> {
    const callers = await store.findCallers(hashes);
    const foundAtMs = elapsedMs();
    for (const hash of hashes) {
      const caller = callers.get(hash);
      if (caller !== undefined) {
        known.set(hash, { caller, foundAtMs });
        continue;
      }
      known.delete(hash);
      unknown.set(hash, true);
    }
    return callers;
  }

  function accept(caller: Caller | undefined): Caller {
    if (caller === undefined) throw new ApiKeyInvalid();
    if (caller.expiresAt !== undefined && caller.expiresAt.getTime() <= now()) {
      throw new ApiKeyInvalid();
    }
    return caller;
  }

  return {
    authenticate(authorization) {
      if (authorization === null || authorization === '') throw new ApiKeyMissing();
      const secret = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
      if (secret === undefined) throw new ApiKeyInvalid();
      const hash = hashSecret(secret).toString('base64');
      const regular = known.get(hash);
      if (regular !== undefined && elapsedMs() - regular.foundAtMs < believedForMs) {
        return accept(regular.caller);
      }
      if (unknown.has(hash) || !isWellFormedSecret(secret)) throw new ApiKeyInvalid();
      return (regular === undefined ? strangers : regulars).find(hash).then(accept);
    },
  };
}

/** In bytes, roughly: its texts, and what objects cost. */
function sizeOf({ scopes, workspaceIds, typePatterns }: Caller): number {
  const texts = [...scopes, ...workspaceIds, ...typePatterns];
  return texts.reduce((sum, text) => sum + 2 * text.length + 32, 512);
}
