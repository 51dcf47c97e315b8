import type { Call } from './call.ts';
import { bufferedBytesMax, callsInFlightMax, streamsMax } from './limits.ts';
import { CallsInFlightFull } from './request-errors.ts';

/** Counts what the process has taken on, and refuses what would be too much. */
export interface Admission {
  /** Unary calls and streams that are being answered. */
  readonly callsInFlight: number;
  begin(): void;
  end(call: Call): void;
  /** Resolves when nothing is being answered. */
  idle(): Promise<void>;
  /** Takes a unary call on. @throws CallsInFlightFull */
  admitUnary(): void;
  /** Takes a stream on: its call counts as one from here to its end. @throws CallsInFlightFull */
  admitStream(call: Call | undefined): void;
  /** @throws CallsInFlightFull when all bodies together would be too large to hold. */
  reserve(bytes: number): void;
  release(bytes: number): void;
}

export function createAdmission(callsMax: number = callsInFlightMax): Admission {
  let calls = 0;
  let streams = 0;
  let bytesHeld = 0;
  const waiting: (() => void)[] = [];
  return {
    get callsInFlight() {
      return calls;
    },
    begin() {
      calls++;
    },
    end({ isStream }) {
      calls--;
      if (isStream) streams--;
      if (calls === 0) for (const resolve of waiting.splice(0)) resolve();
    },
    idle() {
      return new Promise((resolve) => {
        if (calls === 0) resolve();
        else waiting.push(resolve);
      });
    },
    admitUnary() {
      if (calls - streams > callsMax) throw new CallsInFlightFull();
    },
    admitStream(call) {
      if (streams >= streamsMax) throw new CallsInFlightFull();
      if (call === undefined) return;
      call.isStream = true;
      streams++;
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
