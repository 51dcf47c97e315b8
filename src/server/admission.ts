import type { Call, Room } from './call.ts';
import { bufferedBytesMax, callsInFlightMax, streamsMax, streamsWithoutKeyMax } from './limits.ts';
import { CallsInFlightFull } from './request-errors.ts';

/** Counts what the process has taken on, and refuses what would be too much. */
export interface Admission {
  begin(): void;
  end(call: Call): void;
  /** Resolves when nothing is being answered. */
  idle(): Promise<void>;
  /** Takes a call on: it has its place from here to its end. @throws CallsInFlightFull */
  admit(call: Call | undefined, room: Room): void;
  /** @throws CallsInFlightFull when all bodies together would be too large to hold. */
  reserve(bytes: number): void;
  release(bytes: number): void;
}

export function createAdmission(): Admission {
  const places: Record<Room, number> = {
    unary: callsInFlightMax,
    stream: streamsMax,
    stream_without_key: streamsWithoutKeyMax,
  };
  let calls = 0;
  let bytesHeld = 0;
  const waiting: (() => void)[] = [];
  return {
    begin() {
      calls++;
    },
    end({ room }) {
      calls--;
      if (room !== undefined) places[room]++;
      if (calls === 0) for (const resolve of waiting.splice(0)) resolve();
    },
    idle() {
      return new Promise((resolve) => {
        if (calls === 0) resolve();
        else waiting.push(resolve);
      });
    },
    admit(call, room) {
      if (places[room] <= 0) throw new CallsInFlightFull();
      if (call === undefined) return;
      call.room = room;
      places[room]--;
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
