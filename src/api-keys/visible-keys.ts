import { type ApiKey, type Caller, exceedsCaller } from './api-key.ts';
import { ApiKeyNotFound } from './api-key-errors.ts';
import type { ApiKeyStore } from './api-key-store.ts';

/** Keys a read: the largest, with all that the contract allows, take 110 KB each. */
const keysPerRead = 100;
/** Reads a page: it ends early where most keys are not to be seen. */
const readsMax = 10;
/** A page ends early beyond this, in characters. */
const pageLengthMax = 1024 * 1024;

export interface VisiblePage {
  readonly page: readonly ApiKey[];
  /** After which the next page begins; undefined: there is none. */
  readonly nextAfterId: string | undefined;
}

/** Reads on until the page is full of keys that the caller may see, and one more shows whether any follow. */
export async function listVisible(
  store: Pick<ApiKeyStore, 'list'>,
  caller: Caller,
  { afterId, limit }: { readonly afterId: string | undefined; readonly limit: number },
): Promise<VisiblePage> {
  const page: ApiKey[] = [];
  let length = 0;
  let after = afterId;
  for (let reads = 0; reads < readsMax; reads++) {
    const chunk = await store.list({ afterId: after, limit: keysPerRead });
    for (const apiKey of chunk.filter((one) => isVisible(caller, one))) {
      const isFull = page.length === limit || length > pageLengthMax;
      if (isFull) return { page, nextAfterId: page.at(-1)?.id };
      page.push(apiKey);
      length += lengthOf(apiKey);
    }
    if (chunk.length < keysPerRead) return { page, nextAfterId: undefined };
    after = chunk.at(-1)?.id;
  }
  return { page, nextAfterId: after };
}

function lengthOf({ scopes, workspaceIds, typePatterns }: ApiKey): number {
  return [...scopes, ...workspaceIds, ...typePatterns].reduce(
    (sum, text) => sum + text.length,
    512,
  );
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
