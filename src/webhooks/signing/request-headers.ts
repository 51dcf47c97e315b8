import type { KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Target } from '../delivery/target.ts';
import type { Encryption } from './encryption.ts';
import { type SignedMessage, signatureHeaders, toSigningKey } from './sign.ts';

/** The headers of a request to a target; undefined where this process lacks the key of its secrets. */
export type HeadersFor = (
  target: Target,
  message: SignedMessage,
) => Record<string, string> | undefined;

interface Opened {
  readonly keys: readonly KeyObject[];
  readonly headers: Readonly<Record<string, string>>;
}

/** Targets whose secrets are kept decrypted: those that are sent to at present. */
const openedMax = 2_000;

/** @param onMissing is told, once a target at most while it is kept, of a key that this process lacks. */
export function createHeadersFor(
  encryption: Encryption,
  onMissing: (target: Target, keyName: string) => void,
): HeadersFor {
  const opened = new LRUCache<Target, Opened | { readonly keyName: string }>({ max: openedMax });

  function open(target: Target): Opened | { readonly keyName: string } {
    const keys: KeyObject[] = [];
    for (const { id, ciphertext } of target.secrets) {
      const secret = encryption.decrypt(ciphertext, secretPlace(id));
      if (secret === undefined) return { keyName: encryption.keyNameOf(ciphertext) };
      keys.push(toSigningKey(secret));
    }
    if (target.headers === undefined) return { keys, headers: {} };
    const headers = encryption.decrypt(target.headers, headersPlace(target.id));
    if (headers === undefined) return { keyName: encryption.keyNameOf(target.headers) };
    return { keys, headers: JSON.parse(headers) as Record<string, string> };
  }

  return (target, message) => {
    let one = opened.get(target);
    if (one === undefined) {
      one = open(target);
      opened.set(target, one);
      if ('keyName' in one) onMissing(target, one.keyName);
    }
    if ('keyName' in one) return undefined;
    return {
      ...one.headers,
      'content-type': 'application/json',
      'user-agent': 'harbor-events',
      ...signatureHeaders(one.keys, message),
    };
  };
}

export function secretPlace(secretId: string) {
  return { table: 'webhook_secrets', row: secretId, column: 'ciphertext' };
}

export function headersPlace(endpointId: string) {
  return { table: 'webhook_endpoints', row: endpointId, column: 'headers' };
}
