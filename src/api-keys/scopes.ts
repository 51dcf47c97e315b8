/** The scopes of a secret key that names none. Those that came later are given by name, or by `all`. */
export const secretKeyScopes = [
  'events:read',
  'events:write',
  'webhooks:read',
  'webhooks:write',
  'api_keys:read',
  'api_keys:write',
  'workspaces:read',
  'workspaces:write',
] as const;

/** Every scope, also those to come. */
export const allScopes = 'all';

/** What a restricted key may list. */
export const scopes = [...secretKeyScopes, 'events:erase', 'audit:read', allScopes] as const;
