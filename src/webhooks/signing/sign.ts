import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';

/** A new secret of an endpoint: `whsec_` and 32 random bytes in base64, as Standard Webhooks has it. */
export function newWebhookSecret(): string {
  return secretPrefix + randomBytes(32).toString('base64');
}

const secretPrefix = 'whsec_';

/** The key of a secret, to sign with many times. */
export function toSigningKey(secret: string): KeyObject {
  return createSecretKey(Buffer.from(secret.slice(secretPrefix.length), 'base64'));
}

export interface SignedMessage {
  /** The event's id: the same over all tries. */
  readonly id: string;
  readonly atMs: number;
  readonly body: Buffer;
}

/** The headers of Standard Webhooks: one signature for each key. */
export function signatureHeaders(
  keys: readonly KeyObject[],
  { id, atMs, body }: SignedMessage,
): Record<string, string> {
  const timestamp = `${Math.floor(atMs / 1_000)}`;
  const head = `${id}.${timestamp}.`;
  const signatures = keys.map(
    (key) => `v1,${createHmac('sha256', key).update(head).update(body).digest('base64')}`,
  );
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}
