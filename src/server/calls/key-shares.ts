import { isFairShare } from '../../fair-share.ts';
import { CallsInFlightFull } from '../errors/request-errors.ts';

/** A room in places or bytes, of which each API key gets a fair share; calls without a key share all of it. */
export interface KeyShares {
  readonly taken: number;
  /** @throws CallsInFlightFull when there is not so much left, or the key has its share. */
  take(apiKeyId: string | undefined, amount: number): void;
  give(apiKeyId: string | undefined, amount: number): void;
}

/** @param room for all keys together. */
export function createKeyShares(room: number): KeyShares {
  const held = new Map<string | undefined, number>();
  let taken = 0;
  return {
    get taken() {
      return taken;
    },
    take(apiKeyId, amount) {
      // Of what nobody's key answers for, nobody has a share.
      const own = apiKeyId === undefined ? 0 : (held.get(apiKeyId) ?? 0);
      if (!isFairShare({ held: own, wanted: amount, taken, room })) throw new CallsInFlightFull();
      if (apiKeyId !== undefined) held.set(apiKeyId, own + amount);
      taken += amount;
    },
    give(apiKeyId, amount) {
      taken -= amount;
      if (apiKeyId === undefined) return;
      const own = held.get(apiKeyId) ?? 0;
      if (own > amount) held.set(apiKeyId, own - amount);
      else held.delete(apiKeyId);
    },
  };
}
