import { hash } from 'node:crypto';
import { describeRateLimits, updateRateLimits } from '../rate-limits/index.ts';
import type { ApiKey, Grant } from './api-key.ts';
import type { ApiKeyActor } from './api-key-actor.ts';
import { ApiKeyContradictory } from './api-key-errors.ts';
import type { ApiKeyStore } from './api-key-store.ts';
import type { CreateOptions } from './create-api-key-store.ts';
import { allScopes } from './scopes.ts';
import { hashSecret, hintOf, newSecret } from './secret.ts';

/** A new key and its secret, which nobody can be shown again. */
export interface IssuedApiKey {
  readonly apiKey: ApiKey;
  /** Empty for a replay: it was shown when the key was made. */
  readonly secret: string;
  /** The same request of the same caller has made the key before. */
  readonly replayed: boolean;
}

/** What a key may do, and what people call it. */
export interface ApiKeyWish extends Grant {
  readonly displayName: string;
}

/** By whom a key is made; by the operator unless a caller is given. */
export interface IssueOptions {
  readonly by?: ApiKeyActor;
  /** What the caller calls its request, so that a repeat makes no second key; empty: nothing. */
  readonly requestId?: string;
  readonly check?: CreateOptions['check'];
}

/**
 * Makes a key and stores its hash.
 *
 * @throws ApiKeyContradictory for a secret key with restrictions or some scopes, or a restricted one without;
 * RateLimitOutOfRange; what the store's `create` throws.
 */
export async function issueApiKey(
  store: Pick<ApiKeyStore, 'create'>,
  wish: ApiKeyWish,
  { by, requestId = '', check }: IssueOptions = {},
): Promise<IssuedApiKey> {
  assertConsistent(wish);
  const grant = {
    kind: wish.kind,
    displayName: wish.displayName,
    scopes: wish.scopes.toSorted(),
    workspaceIds: wish.workspaceIds.toSorted(),
    typePatterns: wish.typePatterns.toSorted(),
    expiresAt: wish.expiresAt,
    rateLimits: updateRateLimits(undefined, wish.rateLimits),
  };
  const secret = newSecret(grant.kind);
  const key = { ...grant, hint: hintOf(secret), secretHash: hashSecret(secret) };
  const request =
    requestId === '' ? undefined : { id: requestId, fingerprint: fingerprintOf(grant) };
  const { apiKey, replayed } = await store.create(key, { by, request, check });
  return { apiKey, secret: replayed ? '' : secret, replayed };
}

/** Of all that a request asks for, whatever the order of its lists: they are sorted. */
function fingerprintOf({
  kind,
  displayName,
  scopes,
  workspaceIds,
  typePatterns,
  expiresAt,
  rateLimits,
}: ApiKeyWish): Buffer {
  const content = [kind, displayName, scopes, workspaceIds, typePatterns, expiresAt?.getTime()];
  // Without limits it stays what it was before there were any: request ids live across versions.
  const limits = rateLimits === undefined ? [] : [describeRateLimits(rateLimits)];
  return hash('sha256', JSON.stringify([...content, ...limits]), 'buffer');
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
