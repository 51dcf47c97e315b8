import { findAboveOwn, type RateLimits } from '../rate-limits/index.ts';
import { coversTypePattern, matchesAny } from '../type-pattern.ts';
import { allScopes, secretKeyScopes } from './scopes.ts';

/** What a key may do. Empty lists of workspaces and patterns mean no restriction. */
export interface Grant {
  readonly kind: 'secret' | 'restricted';
  /** As they were given: of a secret key none, which means the eight, or `all`. See `hasScope`. */
  readonly scopes: readonly string[];
  readonly workspaceIds: readonly string[];
  readonly typePatterns: readonly string[];
  /** Undefined: never. */
  readonly expiresAt: Date | undefined;
  /** Undefined: none. */
  readonly rateLimits?: RateLimits | undefined;
}

/** An API key without its secret. */
export interface ApiKey extends Grant {
  /** `key_…`. */
  readonly id: string;
  readonly displayName: string;
  readonly hint: string;
  readonly createdAt: Date;
  readonly revokedAt: Date | undefined;
  readonly lastUsedAt: Date | undefined;
  /** When the last of the secrets that were rotated away stops working; undefined: none works any more. */
  readonly oldSecretsExpireAt: Date | undefined;
}

/** Whoever calls, as its key allows. */
export interface Caller extends Grant {
  readonly apiKeyId: string;
  /** Of the secret that was shown, which may be an old one in its overlap: SHA-256 in base64. */
  readonly secretHash: string;
}

export function hasScope(grant: Grant, scope: string): boolean {
  const own = scopesOf(grant);
  return own.includes(scope) || own.includes(allScopes);
}

function scopesOf({ kind, scopes }: Grant): readonly string[] {
  return kind === 'secret' && scopes.length === 0 ? secretKeyScopes : scopes;
}

export function mayUseWorkspace(grant: Grant, workspaceId: string): boolean {
  return grant.workspaceIds.length === 0 || grant.workspaceIds.includes(workspaceId);
}

export function mayUseType(grant: Grant, type: string): boolean {
  return matchesAny(grant.typePatterns, type);
}

/**
 * The first thing in which a key could do more than its maker, named as its field, or undefined. A key must
 * not make, see or change its way out of what it may do.
 */
export function exceedsCaller(caller: Grant, key: Grant): string | undefined {
  if (caller.kind === 'restricted' && key.kind === 'secret') return 'kind';
  if (!scopesOf(key).every((scope) => hasScope(caller, scope))) return 'scopes';
  const workspacesWithin = isWithin(caller.workspaceIds, key.workspaceIds, (id) =>
    mayUseWorkspace(caller, id),
  );
  if (!workspacesWithin) return 'workspace_ids';
  const typesWithin = isWithin(caller.typePatterns, key.typePatterns, (pattern) =>
    caller.typePatterns.some((own) => coversTypePattern(own, pattern)),
  );
  if (!typesWithin) return 'type_patterns';
  return findAboveOwn(caller.rateLimits, key.rateLimits);
}

/** Whether a key works longer than its maker: only forbidden when it is made. */
export function outlivesCaller(caller: Grant, key: Grant): boolean {
  if (caller.expiresAt === undefined) return false;
  return key.expiresAt === undefined || key.expiresAt > caller.expiresAt;
}

/** Whether the caller could have made the key. The operator makes any. */
export function mayMake(caller: Grant | undefined, key: Grant): boolean {
  if (caller === undefined) return true;
  return exceedsCaller(caller, key) === undefined && !outlivesCaller(caller, key);
}

/** Whether a key works: it was neither revoked, nor has it expired. */
export function isActive(
  { revokedAt, expiresAt }: Pick<ApiKey, 'revokedAt' | 'expiresAt'>,
  now: Date,
): boolean {
  return revokedAt === undefined && (expiresAt === undefined || expiresAt > now);
}

function isWithin(
  limits: readonly string[],
  wanted: readonly string[],
  isCovered: (one: string) => boolean,
): boolean {
  if (limits.length === 0) return true;
  return wanted.length > 0 && wanted.every(isCovered);
}
