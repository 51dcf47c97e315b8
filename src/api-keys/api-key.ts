import { coversTypePattern, matchesAny } from '../type-pattern.ts';

/** The scopes that a restricted key may have; a secret key has every one. */
export const scopes = [
  'events:read',
  'events:write',
  'webhooks:read',
  'webhooks:write',
  'api_keys:read',
  'api_keys:write',
  'workspaces:read',
  'workspaces:write',
] as const;
export type Scope = (typeof scopes)[number];

/** What a key may do. Empty lists of workspaces and patterns mean no restriction. */
export interface Grant {
  readonly kind: 'secret' | 'restricted';
  readonly scopes: readonly string[];
  readonly workspaceIds: readonly string[];
  readonly typePatterns: readonly string[];
  /** Undefined: never. */
  readonly expiresAt: Date | undefined;
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
}

/** Whoever calls, as its key allows. */
export interface Caller extends Grant {
  readonly apiKeyId: string;
}

/** The header `authorization: Bearer hbr_…` is missing. */
export class ApiKeyMissing extends Error {
  override readonly name = 'ApiKeyMissing';
  constructor() {
    super('an API key is needed: send the header "authorization: Bearer hbr_…"');
  }
}

/** Malformed, unknown, revoked or expired; nobody is told which. */
export class ApiKeyInvalid extends Error {
  override readonly name = 'ApiKeyInvalid';
  constructor() {
    super('the API key is not valid: it is malformed, unknown, revoked or expired');
  }
}

/** More calls wait for the look-up of a key than the process takes on. */
export class ApiKeyLookUpsFull extends Error {
  override readonly name = 'ApiKeyLookUpsFull';
  constructor() {
    super('too many API keys are being looked up; try again later');
  }
}

export class ScopeMissing extends Error {
  override readonly name = 'ScopeMissing';
  readonly scope: string;
  constructor(scope: string) {
    super(`the API key lacks the scope ${scope}`);
    this.scope = scope;
  }
}

export class WorkspaceNotAllowed extends Error {
  override readonly name = 'WorkspaceNotAllowed';
  readonly workspaceId: string;
  constructor(workspaceId: string) {
    super(`the API key is restricted to other workspaces than ${workspaceId}`);
    this.workspaceId = workspaceId;
  }
}

export class EventTypeNotAllowed extends Error {
  override readonly name = 'EventTypeNotAllowed';
  readonly type: string;
  constructor(type: string) {
    super(`the API key is restricted to other event types than ${JSON.stringify(type)}`);
    this.type = type;
  }
}

/** The rules that bind kind and lists together, which no annotation can say. */
export class ApiKeyContradictory extends Error {
  override readonly name = 'ApiKeyContradictory';
  readonly field: string;
  readonly rule: string;
  constructor(field: string, rule: string) {
    super(`${field} ${rule}`);
    this.field = field;
    this.rule = rule;
  }
}

export class ApiKeyExceedsCaller extends Error {
  override readonly name = 'ApiKeyExceedsCaller';
  readonly exceeds: string;
  constructor(exceeds: string) {
    super(`a key cannot make a key that may do more than itself: see ${exceeds}`);
    this.exceeds = exceeds;
  }
}

export class ApiKeyNotFound extends Error {
  override readonly name = 'ApiKeyNotFound';
  readonly apiKeyId: string;
  constructor(apiKeyId: string) {
    super(`no API key ${apiKeyId}`);
    this.apiKeyId = apiKeyId;
  }
}

export function hasScope(grant: Grant, scope: string): boolean {
  return grant.kind === 'secret' || grant.scopes.includes(scope);
}

export function mayUseWorkspace(grant: Grant, workspaceId: string): boolean {
  return grant.workspaceIds.length === 0 || grant.workspaceIds.includes(workspaceId);
}

export function mayUseType(grant: Grant, type: string): boolean {
  return matchesAny(grant.typePatterns, type);
}

/**
 * The first thing in which a key could do more than its maker, named as its field, or undefined. A
 * restricted key must not make, see or revoke its way out of its restriction.
 */
export function exceedsCaller(caller: Grant, key: Grant): string | undefined {
  if (caller.kind === 'secret') return undefined;
  if (key.kind === 'secret') return 'kind';
  if (!key.scopes.every((scope) => hasScope(caller, scope))) return 'scopes';
  const workspacesWithin = isWithin(caller.workspaceIds, key.workspaceIds, (id) =>
    mayUseWorkspace(caller, id),
  );
  if (!workspacesWithin) return 'workspace_ids';
  const typesWithin = isWithin(caller.typePatterns, key.typePatterns, (pattern) =>
    caller.typePatterns.some((own) => coversTypePattern(own, pattern)),
  );
  return typesWithin ? undefined : 'type_patterns';
}

/** Whether a key works longer than its maker: only forbidden when it is made. */
export function outlivesCaller(caller: Grant, key: Grant): boolean {
  if (caller.expiresAt === undefined) return false;
  return key.expiresAt === undefined || key.expiresAt > caller.expiresAt;
}

function isWithin(
  limits: readonly string[],
  wanted: readonly string[],
  isCovered: (one: string) => boolean,
): boolean {
  if (limits.length === 0) return true;
  return wanted.length > 0 && wanted.every(isCovered);
}
