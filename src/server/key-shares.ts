import { isFairShare } from '../fair-share.ts';
import { CallsInFlightFull } from './request-errors.ts';

/** Places for calls, of which each API key gets a fair share; calls without a key share all of them. */
export interface KeyShares {
  /** @throws CallsInFlightFull when there is no place, or the key has its share of them. */
  take(apiKeyId: string | undefined): void;
  give(apiKeyId: string | undefined): void;
}

/** @param room places for all keys together. */
export function createKeyShares(room: number): KeyShares {
  const held = new Map<string | undefined, number>();
  let taken = 0;
  return {
    take(apiKeyId) {
      const own = held.get(apiKeyId) ?? 0;
      const isFair =
        apiKeyId === undefined ? taken < room : isFairShare({ held: own, wanted: 1, taken, room });
      if (!isFair) throw new CallsInFlightFull();
      held.set(apiKeyId, own + 1);
      taken++;
    },
    give(apiKeyId) {
      const own = held.get(apiKeyId) ?? 0;
      if (own > 1) held.set(apiKeyId, own - 1);
      else held.delete(apiKeyId);
      taken--;
    },
  };
}
