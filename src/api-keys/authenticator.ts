import { LRUCache } from 'lru-cache';
import { ApiKeyInvalid, ApiKeyMissing, type Caller } from './api-key.ts';
import type { ApiKeyStore } from './api-key-store.ts';
import { hashSecret, isWellFormedSecret } from './secret.ts';

/**
 * How long an answer about a key is believed. With a look-up of at most 1.5 s, a revocation is effective
 * in every process within 5 s.
 */
const believedForMs = 3_000;

/** Tells who calls, from the header `authorization`. */
export interface Authenticator {
  /**
   * The caller, at once when the key was looked up within the last 3 seconds.
   *
   * @throws ApiKeyMissing, ApiKeyInvalid, DatabaseUnavailable. A key that is missing or malformed costs
   * no database call.
   */
  authenticate(authorization: string | null): Caller | Promise<Caller>;
}

export function createAuthenticator(
  store: Pick<ApiKeyStore, 'findCaller'>,
  now: () => number = Date.now,
): Authenticator {
  // Unknown keys are remembered too, so that a flood with one of them does not reach the database.
  const callers = new LRUCache<string, { readonly caller: Caller | undefined }>({
    max: 10_000,
    ttl: believedForMs,
    // A look-up that is crowded out of the cache still answers its own callers.
    ignoreFetchAbort: true,
    allowStaleOnFetchAbort: false,
    fetchMethod: async (hash) => ({
      caller: await store.findCaller(Buffer.from(hash, 'base64')),
    }),
  });

  function accept(caller: Caller | undefined): Caller {
    if (caller === undefined) throw new ApiKeyInvalid();
    if (caller.expiresAt !== undefined && caller.expiresAt.getTime() <= now()) {
      throw new ApiKeyInvalid();
    }
    return caller;
  }

  async function lookUp(hash: string): Promise<Caller> {
    const found = await callers.fetch(hash);
    return accept(found?.caller);
  }

  return {
    authenticate(authorization) {
      if (authorization === null || authorization === '') throw new ApiKeyMissing();
      const secret = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
      if (secret === undefined) throw new ApiKeyInvalid();
      const hash = hashSecret(secret).toString('base64');
      const known = callers.get(hash);
      if (known !== undefined) return accept(known.caller);
      if (!isWellFormedSecret(secret)) throw new ApiKeyInvalid();
      return lookUp(hash);
    },
  };
}
