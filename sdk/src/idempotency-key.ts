import { InvalidOptionError } from './errors.ts';

/**
 * A new idempotency key: 128 random bits. Not crypto.randomUUID, which browsers offer only to pages
 * that came over https.
 */
export function makeIdempotencyKey(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Checks a key that the caller gave. An empty one would mean "no key" to the service, and retries would
 * then create a second event. Throws InvalidOptionError.
 */
export function parseIdempotencyKey(key: unknown): string {
  if (typeof key === 'string' && /^[ -~]{1,255}$/.test(key)) return key;
  throw new InvalidOptionError(
    'idempotencyKey',
    'idempotencyKey must be 1–255 printable ASCII characters. Leave it out to have one made.',
  );
}
