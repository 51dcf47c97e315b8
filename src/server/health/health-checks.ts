import { findRefusal } from '../errors/errors.ts';
import { CallsInFlightFull } from '../errors/request-errors.ts';
import { healthChecksMax } from '../limits.ts';

/**
 * Bounds the calls that ask for health. They need neither a key nor a place among the calls in flight, so
 * that a busy process says that it lives; and whoever asks sends a few bytes at once. So the oldest makes
 * room for the newest: a crowd that never finishes its requests keeps out nobody but itself.
 */
export interface HealthChecks {
  /**
   * Runs a call with its body, and refuses it when so many have come after it.
   *
   * @param answer rejects, or answers with a refusal, when its body rejects.
   */
  run<T>(
    body: AsyncIterable<Uint8Array>,
    answer: (body: AsyncIterable<Uint8Array>) => Promise<T>,
  ): Promise<T>;
}

export function createHealthChecks(max: number = healthChecksMax): HealthChecks {
  /** What ends each, the oldest first. */
  const running = new Set<(reason: unknown) => void>();
  return {
    async run(body, answer) {
      const { promise: crowdedOut, reject: end } = Promise.withResolvers<never>();
      crowdedOut.catch(() => undefined);
      const [oldest] = running;
      if (running.size >= max && oldest !== undefined) {
        running.delete(oldest);
        oldest(findRefusal(new CallsInFlightFull()));
      }
      running.add(end);
      try {
        return await answer(endedBy(crowdedOut, body));
      } finally {
        running.delete(end);
      }
    },
  };
}

function endedBy(end: Promise<never>, body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const chunks = body[Symbol.asyncIterator]();
      return { next: () => Promise.race([chunks.next(), end]) };
    },
  };
}
