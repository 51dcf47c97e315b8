import type { ApiKey, Grant } from './api-key.ts';
import { ApiKeyContradictory } from './api-key-errors.ts';
import type { ApiKeyStore } from './api-key-store.ts';
import { allScopes } from './scopes.ts';
import { hashSecret, hintOf, newSecret } from './secret.ts';

/** A new key and its secret, which nobody can be shown again. */
export interface IssuedApiKey {
  readonly apiKey: ApiKey;
  readonly secret: string;
}

/**
 * Makes a key and stores its hash. Who may make it is the caller's question.
 *
 * @throws ApiKeyContradictory for a secret key with restrictions or some scopes, or a restricted one without.
 */
export async function issueApiKey(
  store: Pick<ApiKeyStore, 'create'>,
  grant: Grant & { readonly displayName: string },
): Promise<IssuedApiKey> {
  assertConsistent(grant);
  const secret = newSecret(grant.kind);
  const apiKey = await store.create({
    kind: grant.kind,
    displayName: grant.displayName,
    scopes: grant.scopes.toSorted(),
    workspaceIds: grant.workspaceIds.toSorted(),
    typePatterns: grant.typePatterns.toSorted(),
    expiresAt: grant.expiresAt,
    hint: hintOf(secret),
    secretHash: hashSecret(secret),
  });
  return { apiKey, secret };
}

function assertConsistent(grant: Grant): void {
  if (grant.kind === 'restricted') {
    if (grant.scopes.length > 0) return;
    throw new ApiKeyContradictory('scopes', 'must name at least one scope for a restricted key');
  }
  const { scopes } = grant;
  if (scopes.length > 1 || (scopes.length === 1 && scopes[0] !== allScopes)) {
    throw new ApiKeyContradictory('scopes', 'must be empty, or "all" alone, for a secret key');
  }
  const lists = { workspace_ids: grant.workspaceIds, type_patterns: grant.typePatterns };
  for (const [field, list] of Object.entries(lists)) {
    if (list.length === 0) continue;
    throw new ApiKeyContradictory(
      field,
      'must be empty for a secret key, which has no restriction',
    );
  }
}
