import { InvalidOptionError } from '../errors.ts';
import type { WebhookSecrets } from './webhook-request.ts';

/** What is signed: the id, the time in seconds, and the body, with a dot between them. */
export interface SignedContent {
  readonly id: string;
  readonly timestamp: string;
  readonly body: Uint8Array;
}

type SigningKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

const algorithm = { name: 'HMAC', hash: 'SHA-256' };

/** The keys of secrets. @throws InvalidOptionError for one that is none. */
export function importSecrets(secrets: WebhookSecrets): Promise<SigningKey[]> {
  const given = typeof secrets === 'string' ? [secrets] : secrets;
  if (!Array.isArray(given) || given.length === 0) throw invalidSecret();
  const keys = given.map(toKeyBytes);
  return Promise.all(
    keys.map((key) => crypto.subtle.importKey('raw', key, algorithm, false, ['sign'])),
  );
}

/** The signature by a key, in bytes. */
export async function sign(
  key: SigningKey,
  { id, timestamp, body }: SignedContent,
): Promise<Uint8Array<ArrayBuffer>> {
  const head = new TextEncoder().encode(`${id}.${timestamp}.`);
  const content = new Uint8Array(head.length + body.length);
  content.set(head);
  content.set(body, head.length);
  return new Uint8Array(await crypto.subtle.sign(algorithm.name, key, content));
}

/** Takes the same time wherever they differ. */
export function isSame(expected: Uint8Array, given: Uint8Array): boolean {
  if (expected.length !== given.length) return false;
  let difference = 0;
  for (const [index, byte] of expected.entries()) difference |= byte ^ (given[index] as number);
  return difference === 0;
}

const prefix = 'whsec_';

function toKeyBytes(secret: unknown): Uint8Array<ArrayBuffer> {
  const bytes =
    typeof secret === 'string' && secret.startsWith(prefix)
      ? fromBase64(secret.slice(prefix.length))
      : undefined;
  if (bytes === undefined || bytes.length === 0) throw invalidSecret();
  return bytes;
}

function invalidSecret(): InvalidOptionError {
  return new InvalidOptionError(
    'secret',
    'secret must be the whole secret of the endpoint, whsec_…, or several of them in an array.',
  );
}

/** Undefined for a text that is not base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}

export function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
