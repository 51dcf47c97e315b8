import type { Call, Room } from './call.ts';
import { createKeyShares, type KeyShares } from './key-shares.ts';
import { bufferedBytesMax, callsInFlightMax, streamsMax, streamsWithoutKeyMax } from './limits.ts';
import { CallsInFlightFull } from './request-errors.ts';

/** Counts what the process has taken on, and refuses what would be too much. */
export interface Admission {
  begin(): void;
  end(call: Call): void;
  /** Resolves when nothing is being answered. */
  idle(): Promise<void>;
  /**
   * Takes a call on: it has its place from here to its end. One API key alone fills half of a room.
   *
   * @throws CallsInFlightFull
   */
  admit(call: Call | undefined, room: Room): void;
  /** @throws CallsInFlightFull when all bodies together would be too large to hold. */
  reserve(bytes: number): void;
  release(bytes: number): void;
}

export function createAdmission(): Admission {
  const places: Record<Room, KeyShares> = {
    unary: createKeyShares(callsInFlightMax),
    stream: createKeyShares(streamsMax),
    stream_without_key: createKeyShares(streamsWithoutKeyMax),
  };
  let calls = 0;
  let bytesHeld = 0;
  const waiting: (() => void)[] = [];
  return {
    begin() {
      calls++;
    },
    end({ room, apiKeyId }) {
      calls--;
      if (room !== undefined) places[room].give(apiKeyId);
      if (calls === 0) for (const resolve of waiting.splice(0)) resolve();
    },
    idle() {
      return new Promise((resolve) => {
        if (calls === 0) resolve();
        else waiting.push(resolve);
      });
    },
    admit(call, room) {
      if (call === undefined) return;
      places[room].take(call.apiKeyId);
      call.room = room;
    },
    reserve(bytes) {
      if (bytesHeld + bytes > bufferedBytesMax) throw new CallsInFlightFull();
      bytesHeld += bytes;
    },
    release(bytes) {
      bytesHeld -= bytes;
    },
  };
}
