import type { CallOptions } from '@connectrpc/connect';
import { parseRequestOptions, type RequestOptions } from './options.ts';
import { retryDelayMs } from './retry.ts';
import type { CallFacts, Translation } from './to-harbor-error.ts';

/** What a Caller is made of. */
export interface CallerDeps {
  readonly maxRetries: number;
  readonly timeoutMs: number;
  /** Returns a number from 0 up to, not including, 1. */
  readonly random: () => number;
  readonly wait: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  readonly toHarborError: Translation;
}

/** The idempotency keys that a call carries: its errors give them to the caller. */
export type SentKeys = Pick<CallFacts, 'idempotencyKey' | 'idempotencyKeys'>;

/** What errors tell of a call, or how they tell it. */
export type SentFacts = SentKeys & Pick<CallFacts, 'saysTypes'>;

/**
 * Sends a unary call until it is answered: at most 1 + maxRetries times, waiting between attempts by the
 * schedule of retryDelayMs. `send` must be safe to repeat. Rejects with a HarborError, or at once with
 * the reason of the signal.
 */
export type Caller = <Answer>(
  send: (options: CallOptions) => Promise<Answer>,
  options: RequestOptions,
  sent?: SentFacts,
) => Promise<Answer>;

export function createCaller(deps: CallerDeps): Caller {
  return async (send, options, sent) => {
    const { signal, maxRetries = deps.maxRetries, ...rest } = parseRequestOptions(options);
    const timeoutMs = rest.timeoutMs ?? deps.timeoutMs;
    signal?.throwIfAborted();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await send(signal === undefined ? { timeoutMs } : { timeoutMs, signal });
      } catch (thrown) {
        signal?.throwIfAborted();
        const error = deps.toHarborError(thrown, { ...sent, attempt, timeoutMs });
        const delayMs =
          attempt > maxRetries ? undefined : retryDelayMs(attempt, error, deps.random);
        if (delayMs === undefined) throw error;
        await deps.wait(delayMs, signal);
      }
    }
  };
}
