import type { ApiKey } from '../api-keys/index.ts';
import { describeLimits, limitsToJson } from './rate-limit-options.ts';
import type { RowFormat } from './rows.ts';

const all = (values: readonly string[], none: string) => values.join(' ') || none;
const time = (at: Date | undefined, none: string) => at?.toISOString().slice(0, 19) ?? none;

/** What the store knows of a key: never a secret, of which only a hash is kept. Times are in UTC. */
export const keyRows: RowFormat<ApiKey> = {
  columns: [
    { title: 'ID', cell: ({ id }) => id },
    { title: 'KIND', cell: ({ kind }) => kind },
    { title: 'HINT', cell: ({ hint }) => hint },
    { title: 'NAME', cell: ({ displayName }) => displayName },
    { title: 'SCOPES', cell: ({ scopes }) => all(scopes, 'read and write') },
    { title: 'WORKSPACES', cell: ({ workspaceIds }) => all(workspaceIds, 'every') },
    { title: 'TYPES', cell: ({ typePatterns }) => all(typePatterns, 'every') },
    { title: 'LIMITS', cell: ({ rateLimits }) => describeLimits(rateLimits) },
    { title: 'EXPIRES', cell: ({ expiresAt }) => time(expiresAt, 'never') },
    { title: 'LAST USED', cell: ({ lastUsedAt }) => time(lastUsedAt, 'never') },
    { title: 'REVOKED', cell: ({ revokedAt }) => time(revokedAt, '') },
  ],
  toJson: (key) => ({
    id: key.id,
    kind: key.kind,
    display_name: key.displayName,
    hint: key.hint,
    scopes: key.scopes,
    workspace_ids: key.workspaceIds,
    type_patterns: key.typePatterns,
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    last_used_at: key.lastUsedAt,
    revoked_at: key.revokedAt,
    old_secrets_expire_at: key.oldSecretsExpireAt,
    rate_limits: limitsToJson(key.rateLimits),
  }),
};
