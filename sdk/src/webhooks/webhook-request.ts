import { InvalidOptionError, WebhookVerificationError } from '../errors.ts';

/** The body of a request as it came in: its text, or its bytes. */
export type WebhookBody = string | Uint8Array | ArrayBuffer;

/** The headers of a request: `Headers` of fetch, or an object such as `request.headers` of Node. */
export type WebhookHeaders =
  | { get(name: string): string | null }
  | { readonly [name: string]: string | readonly string[] | undefined };

/** The secret of an endpoint, whsec_…; or several, such as the old and the new one while they change. */
export type WebhookSecrets = string | readonly string[];

/** What of a request is signed, and how. */
export interface SignedRequest {
  readonly id: string;
  /** Seconds since 1970, as they were written. */
  readonly timestamp: string;
  /** Signatures of the version that is known, in base64. */
  readonly signatures: readonly string[];
}

/** @throws WebhookVerificationError (headers) */
export function readSignedRequest(headers: WebhookHeaders): SignedRequest {
  const id = requireHeader(headers, 'webhook-id');
  const timestamp = requireHeader(headers, 'webhook-timestamp');
  const signatures = requireHeader(headers, 'webhook-signature')
    .split(' ')
    .filter((signature) => signature.startsWith(version))
    .map((signature) => signature.slice(version.length));
  if (!/^\d{1,12}$/.test(timestamp)) {
    throw new WebhookVerificationError('headers', 'webhook-timestamp is not in whole seconds.');
  }
  if (signatures.length === 0) {
    throw new WebhookVerificationError('headers', 'webhook-signature has no signature v1.');
  }
  return { id, timestamp, signatures };
}

export const version = 'v1,';

function requireHeader(headers: WebhookHeaders, name: string): string {
  const value = findHeader(headers, name);
  if (value !== undefined && value !== '') return value;
  throw new WebhookVerificationError('headers', `The header ${name} is missing.`);
}

function findHeader(headers: WebhookHeaders, name: string): string | undefined {
  if (headers === null || typeof headers !== 'object') {
    throw new InvalidOptionError('headers', 'headers must be Headers, or an object of headers.');
  }
  if (typeof headers.get === 'function') return headers.get(name) ?? undefined;
  const [, value] = Object.entries(headers).find(([own]) => own.toLowerCase() === name) ?? [];
  // Node has a header that came twice as an array where it is asked for that; one of them is not to be picked.
  const values: unknown[] = Array.isArray(value) ? value : [value];
  return values.length === 1 && typeof values[0] === 'string' ? values[0] : undefined;
}

/**
 * A copy of the bytes.
 *
 * @throws InvalidOptionError for what is no body as it came in.
 * @internal
 */
export function toBytes(body: WebhookBody): Uint8Array<ArrayBuffer> {
  if (typeof body === 'string') return new TextEncoder().encode(body);
  // Not by instanceof: test runners have a realm of their own.
  if (ArrayBuffer.isView(body)) {
    return new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice();
  }
  if (Object.prototype.toString.call(body) === '[object ArrayBuffer]') {
    return new Uint8Array(body).slice();
  }
  throw new InvalidOptionError(
    'body',
    'body must be the text or the bytes of the request as they came in. An object that was parsed from it is not ' +
      'enough: what is signed are the bytes.',
  );
}
