import type { Names } from '../known-names.ts';
import type { RateLimitChanges, RateLimits } from '../rate-limits.ts';

/** A secret key may do everything within its scopes; a restricted key what it lists. */
export type ApiKeyKind = 'secret' | 'restricted';

/** What an API key allows. A write scope does not include the read scope; 'all' is every scope, also those to come. */
export type ApiKeyScope =
  | 'events:write'
  | 'events:read'
  | 'events:erase'
  | 'webhooks:write'
  | 'webhooks:read'
  | 'api_keys:write'
  | 'api_keys:read'
  | 'workspaces:write'
  | 'workspaces:read'
  | 'audit:read'
  | 'all'
  // One that a later version brings.
  | (string & {});

/** An API key to create. */
export interface NewApiKey {
  readonly kind: ApiKeyKind;
  /** What people call it; at most 255 characters. */
  readonly displayName?: string | undefined;
  /** At least one for a restricted key; for a secret key none, which are the eight that read and write, or 'all'. */
  readonly scopes?: readonly ApiKeyScope[] | undefined;
  /** The workspaces of a restricted key, up to 100; none: every one. */
  readonly workspaceIds?: readonly string[] | undefined;
  /**
   * The event types that a restricted key may write and read, up to 100: a type, or a beginning of types and '*'; none:
   * every one.
   */
  readonly typePatterns?: readonly string[] | undefined;
  /** When it stops working; absent: never, which a key that expires cannot give. */
  readonly expiresAt?: Date | undefined;
  /** What all calls with it together may take; at least as tight as those of the key that creates it. */
  readonly rateLimits?: RateLimits | undefined;
}

/** @internal */
export const newApiKeyNames = {
  kind: true,
  displayName: true,
  scopes: true,
  workspaceIds: true,
  typePatterns: true,
  expiresAt: true,
  rateLimits: true,
} satisfies Names<NewApiKey>;

/** What to change of an API key; what is absent stays. */
export interface ApiKeyChanges {
  /** What people call it; at most 255 characters. */
  readonly displayName?: string | undefined;
  /** When it stops working; earlier than before. */
  readonly expiresAt?: Date | undefined;
  /** Limits that are absent stay, null takes one off, or all of them. */
  readonly rateLimits?: RateLimitChanges | null | undefined;
}

/** @internal */
export const apiKeyChangeNames = {
  displayName: true,
  expiresAt: true,
  rateLimits: true,
} satisfies Names<ApiKeyChanges>;

/** An API key, without its secret. */
export interface ApiKey {
  /** key_ and 26 letters and digits. */
  readonly id: string;
  readonly kind: ApiKeyKind;
  readonly displayName: string;
  /** First and last characters of its secret, to tell keys apart: 'hbr_rk_…x7Qa'. */
  readonly hint: string;
  /** Sorted. Of a secret key 'all', or empty where it has the eight scopes that read and write. */
  readonly scopes: readonly ApiKeyScope[];
  /** Sorted; empty: every workspace. */
  readonly workspaceIds: readonly string[];
  /** Sorted; empty: every type. */
  readonly typePatterns: readonly string[];
  readonly createdAt: Date;
  /** When it stops working; absent: never. */
  readonly expiresAt?: Date;
  /** When it was revoked; absent: it was not. */
  readonly revokedAt?: Date;
  /** When it was last used, written at most once a minute; absent: not yet. */
  readonly lastUsedAt?: Date;
  /** When the last of the secrets that were rotated away stops working; absent: none works any more. */
  readonly oldSecretsExpireAt?: Date;
  /** What all calls with it together may take; absent: no limit. */
  readonly rateLimits?: RateLimits;
}

/** What `create` returns. */
export interface CreatedApiKey extends ApiKey {
  /** The key that callers are to send: hbr_sk_… or hbr_rk_… Shown only here. Absent where `replayed`: see `rotate`. */
  readonly secret?: string;
  /** An earlier call with the same request id has created it. */
  readonly replayed: boolean;
}

/** What `rotate` returns. */
export interface RotatedApiKey extends ApiKey {
  /** The new secret: hbr_sk_… or hbr_rk_… Shown only here. */
  readonly secret: string;
}
