/** When a delivery is tried again, and how long a failing endpoint is left alone. Times in milliseconds. */
export interface DeliverySchedule {
  /** After the first failure, the second, …; when there are no more, the delivery has failed. */
  readonly retryAfterMs: readonly number[];
  /** Of a wait, up or down: what failed together does not come back together. */
  readonly jitter: number;
  readonly leaseMs: number;
  /** An endpoint's circuit opens after so many failures in a row, over at least this time. */
  readonly circuitFailures: number;
  readonly circuitAfterMs: number;
  readonly circuitWaitMs: { readonly first: number; readonly most: number };
  /** A Retry-After beyond this counts as this. */
  readonly retryAfterMsMax: number;
  /** Nothing but failures for this time is told to the endpoint's workspace. */
  readonly tellAfterMs: number;
  /** Nothing but failures for this time disables the endpoint. */
  readonly disableAfterMs: number;
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** As documented: ten tries over three days and a half, with the fifth day of failures as the last. */
export const usualSchedule: DeliverySchedule = {
  retryAfterMs: [
    5 * second,
    5 * minute,
    30 * minute,
    2 * hour,
    5 * hour,
    10 * hour,
    14 * hour,
    20 * hour,
    24 * hour,
  ],
  jitter: 0.2,
  leaseMs: 45 * second,
  circuitFailures: 20,
  circuitAfterMs: 30 * second,
  circuitWaitMs: { first: 5 * second, most: 5 * minute },
  retryAfterMsMax: 24 * hour,
  tellAfterMs: hour,
  disableAfterMs: 5 * 24 * hour,
};

/** What a request has come to. */
export type Answer =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly retryAfterMs: number | undefined;
    }
  /** No answer: a timeout, a reset, an address that may not be connected to. */
  | { readonly kind: 'unanswered' };

/** What becomes of a delivery after a request; `holdMs` is for how long its endpoint is sent nothing else. */
export type Verdict = { readonly holdMs: number | undefined } & (
  | { readonly kind: 'succeeded' | 'failed' }
  | { readonly kind: 'retry'; readonly afterMs: number }
);

/**
 * @param tries requests that have failed before this one.
 * @param random from 0 to 1.
 */
export function judge(
  { retryAfterMs, jitter, retryAfterMsMax }: DeliverySchedule,
  answer: Answer,
  { tries, random }: { readonly tries: number; readonly random: number },
): Verdict {
  if (answer.kind === 'answered' && answer.status >= 200 && answer.status < 300) {
    return { kind: 'succeeded', holdMs: undefined };
  }
  const askedMs = askedToWaitMs(answer, retryAfterMsMax);
  // Too many requests is said of the endpoint, not of the one delivery.
  const isTooMany = answer.kind === 'answered' && answer.status === 429;
  const holdMs = isTooMany ? (askedMs ?? retryAfterMs[0]) : undefined;
  const waitMs = retryAfterMs[tries];
  if (waitMs === undefined) return { kind: 'failed', holdMs };
  const afterMs = Math.round(waitMs * (1 + jitter * (2 * random - 1)));
  return { kind: 'retry', afterMs: Math.max(afterMs, askedMs ?? 0), holdMs };
}

function askedToWaitMs(answer: Answer, retryAfterMsMax: number): number | undefined {
  if (answer.kind === 'unanswered' || answer.retryAfterMs === undefined) return undefined;
  if (answer.status !== 429 && answer.status !== 503) return undefined;
  return Math.min(answer.retryAfterMs, retryAfterMsMax);
}

/** Reads a Retry-After: whole seconds, or an HTTP date; undefined for anything else. */
export function readRetryAfterMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text) * second;
  if (!/^[A-Z][a-z]{2}, /.test(text)) return undefined;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}
