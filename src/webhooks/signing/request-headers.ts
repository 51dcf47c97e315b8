import type { KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Target } from '../delivery/target.ts';
import type { Encryption } from './encryption.ts';
import { headersPlace, secretPlace } from './places.ts';
import { type SignedMessage, signatureHeaders, toSigningKey } from './sign.ts';

/** The headers of a request to a target; undefined where this process cannot sign for it. */
export type HeadersFor = (
  target: Target,
  message: SignedMessage,
) => Record<string, string> | undefined;

interface Opened {
  readonly keys: readonly { readonly key: KeyObject; readonly expiresAtMs: number }[];
  readonly headers: Readonly<Record<string, string>>;
}

/** Targets whose secrets are kept decrypted: those that are sent to at present. */
const openedMax = 2_000;

/**
 * @param onClosed is told, once a target at most while it is kept, why nothing can be signed for it: a key that this
 * process lacks, or a secret that is damaged. Others may have the key.
 */
export function createHeadersFor(
  encryption: Encryption,
  onClosed: (target: Target, error: unknown) => void,
): HeadersFor {
  const known = new LRUCache<Target, Opened | 'closed'>({ max: openedMax });

  function open(target: Target): Opened | 'closed' {
    try {
      const keys = target.secrets.map(({ id, ciphertext, expiresAt }) => ({
        key: toSigningKey(encryption.open(ciphertext, secretPlace(id))),
        expiresAtMs: expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
      }));
      if (keys.length === 0) throw new Error('the endpoint has no secret');
      const headers =
        target.headers === undefined
          ? '{}'
          : encryption.open(target.headers, headersPlace(target.id));
      return { keys, headers: JSON.parse(headers) as Record<string, string> };
    } catch (error) {
      onClosed(target, error);
      return 'closed';
    }
  }

  return (target, message) => {
    let one = known.get(target);
    if (one === undefined) {
      one = open(target);
      known.set(target, one);
    }
    if (one === 'closed') return undefined;
    // An overlap ends here: nobody reads the target again for it.
    const live = one.keys.filter(({ expiresAtMs }) => expiresAtMs > message.atMs);
    if (live.length === 0) return undefined;
    return {
      'user-agent': 'harbor-events',
      ...one.headers,
      'content-type': 'application/json',
      ...signatureHeaders(
        live.map(({ key }) => key),
        message,
      ),
    };
  };
}
