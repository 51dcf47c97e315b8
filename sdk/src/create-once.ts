import { refuseField } from './events/request-fields.ts';
import { makeIdempotencyKey } from './idempotency-key.ts';
import type { Names } from './known-names.ts';
import { type RequestOptions, requestOptionNames } from './options.ts';

/** Options of a call that creates something once. */
export interface CreateOnceOptions extends RequestOptions {
  /**
   * 1–255 printable ASCII characters. For 24 hours, creates by the same API key with the same request id and content make
   * nothing more. Default: one made for this call, so that its own retries are safe.
   */
  readonly requestId?: string | undefined;
}

/** @internal */
export const createOnceOptionNames = {
  requestId: true,
  ...requestOptionNames,
} satisfies Names<CreateOnceOptions>;

/** @internal */
export function requestIdOf({ requestId }: CreateOnceOptions): string {
  if (requestId === undefined) return makeIdempotencyKey();
  if (typeof requestId === 'string' && /^[ -~]{1,255}$/.test(requestId)) return requestId;
  throw refuseField(
    'requestId',
    'must be 1–255 printable ASCII characters; leave it out to have one made.',
  );
}
