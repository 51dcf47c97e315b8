import type { CallerStore } from './caller-store.ts';

/** A key's `last_used_at` is written at most once in this time, in each process. */
const noteEveryMs = 60_000;
const keysMax = 10_000;

/** Remembers which keys were used, for a background loop to write down. */
export interface LastUsed {
  note(apiKeyId: string): void;
  /** Writes what was noted since the last time. A failure loses nothing but the time of a use. */
  write(): Promise<void>;
}

export function createLastUsed(
  store: Pick<CallerStore, 'noteUses'>,
  now: () => number = Date.now,
): LastUsed {
  /** When each key was last noted, so that each is written once a minute. */
  const notedAt = new Map<string, number>();
  const unwritten = new Map<string, Date>();
  return {
    note(apiKeyId) {
      const at = now();
      if (at - (notedAt.get(apiKeyId) ?? Number.NEGATIVE_INFINITY) < noteEveryMs) return;
      if (notedAt.size >= keysMax) notedAt.clear();
      notedAt.set(apiKeyId, at);
      unwritten.set(apiKeyId, new Date(at));
    },
    async write() {
      if (unwritten.size === 0) return;
      const uses = new Map(unwritten);
      unwritten.clear();
      await store.noteUses(uses);
    },
  };
}
