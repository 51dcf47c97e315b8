/** The status codes of gRPC, as JSON and people write them. */
export type StatusCode =
  | 'canceled'
  | 'unknown'
  | 'invalid_argument'
  | 'deadline_exceeded'
  | 'not_found'
  | 'already_exists'
  | 'permission_denied'
  | 'resource_exhausted'
  | 'failed_precondition'
  | 'aborted'
  | 'out_of_range'
  | 'unimplemented'
  | 'internal'
  | 'unavailable'
  | 'data_loss'
  | 'unauthenticated';

/** What a caller is told about an error beside code, reason and text. */
export interface RefusalFacts {
  /** For machines: the names that the reason's comment in the contract lists. */
  readonly metadata?: Record<string, string>;
  /** The field that is wrong, as the contract calls it, and its rule. */
  readonly violation?: { readonly field: string; readonly description: string };
  /** The same call may succeed after this time. */
  readonly retryAfterMs?: number;
}

/** A class of errors, and what a caller is told about each of them. Its text is told as it is. */
export interface Refusal<Reason extends string = string> {
  readonly errorClass: ErrorClass<Error>;
  readonly code: StatusCode;
  /** A value of harbor.errors.v1.ErrorReason without its prefix; the server's sum of all tables checks it. */
  readonly reason: Reason;
  readonly facts: (error: Error) => RefusalFacts;
}

// biome-ignore lint/suspicious/noExplicitAny: a class with any constructor
type ErrorClass<E> = new (...args: any[]) => E;

/**
 * A line in a feature's table of refusals. The tables know nothing of the wire: the server adds them up in
 * `src/server/errors/refusals.ts` and writes codes and facts as each protocol has them.
 */
export function refuse<E extends Error, Reason extends string>(
  errorClass: ErrorClass<E>,
  code: StatusCode,
  reason: Reason,
  facts: (error: E) => RefusalFacts = () => ({}),
): Refusal<Reason> {
  // Asked only about errors of its class.
  return { errorClass, code, reason, facts: facts as (error: Error) => RefusalFacts };
}
