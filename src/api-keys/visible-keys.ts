import { type ApiKey, type Caller, exceedsCaller, mayDoEverything } from './api-key.ts';
import { ApiKeyNotFound } from './api-key-errors.ts';
import type { ApiKeyStore } from './api-key-store.ts';

/** Keys a query at the least: a small page must not cost a query for every few keys that are hidden. */
const chunkKeysMin = 500;

export interface VisiblePage {
  readonly page: ApiKey[];
  readonly more: boolean;
}

/** Reads on until the page is full of keys that the caller may see, and one more shows whether any follow. */
export async function listVisible(
  store: Pick<ApiKeyStore, 'list'>,
  caller: Caller,
  { afterId, limit }: { readonly afterId: string | undefined; readonly limit: number },
): Promise<VisiblePage> {
  const visible: ApiKey[] = [];
  const least = mayDoEverything(caller) ? 0 : chunkKeysMin;
  const chunkKeys = Math.max(limit + 1, least);
  for (let after = afterId; ; ) {
    const chunk = await store.list({ afterId: after, limit: chunkKeys });
    visible.push(...chunk.filter((apiKey) => isVisible(caller, apiKey)));
    if (visible.length > limit) return { page: visible.slice(0, limit), more: true };
    if (chunk.length < chunkKeys) return { page: visible, more: false };
    after = chunk.at(-1)?.id;
  }
}

/** @throws ApiKeyNotFound, also when the key may do more than the caller. */
export async function getVisible(
  store: Pick<ApiKeyStore, 'find'>,
  caller: Caller,
  id: string,
): Promise<ApiKey> {
  const apiKey = await store.find(id);
  if (apiKey === undefined || !isVisible(caller, apiKey)) throw new ApiKeyNotFound(id);
  return apiKey;
}

function isVisible(caller: Caller, apiKey: ApiKey): boolean {
  return exceedsCaller(caller, apiKey) === undefined;
}
