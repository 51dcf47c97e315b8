import { ApiKeyInvalid } from './api-key.ts';
import type { ApiKeyStore } from './api-key-store.ts';

/** Watches the keys of streams, which were authenticated once and go on for days. */
export interface KeyWatch {
  /** A signal that aborts with ApiKeyInvalid when the key is revoked or expires; release it at the end. */
  hold(apiKeyId: string): { readonly signal: AbortSignal; release(): void };
  /** One query for all keys of all streams of this process. */
  check(): Promise<void>;
}

interface Held {
  readonly controller: AbortController;
  streams: number;
}

export function createKeyWatch(store: Pick<ApiKeyStore, 'findEnded'>): KeyWatch {
  const keys = new Map<string, Held>();
  return {
    hold(apiKeyId) {
      const held = keys.get(apiKeyId) ?? { controller: new AbortController(), streams: 0 };
      keys.set(apiKeyId, held);
      held.streams++;
      return {
        signal: held.controller.signal,
        release() {
          held.streams--;
          if (held.streams === 0 && keys.get(apiKeyId) === held) keys.delete(apiKeyId);
        },
      };
    },
    async check() {
      if (keys.size === 0) return;
      for (const id of await store.findEnded([...keys.keys()])) {
        keys.get(id)?.controller.abort(new ApiKeyInvalid());
        keys.delete(id);
      }
    },
  };
}
