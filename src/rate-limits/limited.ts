import type { Limited } from './rate-limiter.ts';
import type { RateLimits } from './rate-limits.ts';

/** The API key that calls. */
export interface LimitedKey {
  readonly apiKeyId: string;
  readonly rateLimits?: RateLimits | undefined;
}

/** A workspace in which is called. */
export interface LimitedWorkspace {
  readonly id: string;
  readonly rateLimits: RateLimits | undefined;
}

export function ofKey({ apiKeyId: id, rateLimits: limits }: LimitedKey): Limited {
  return { owner: 'api_key', id, limits };
}

export function ofWorkspace({ id, rateLimits: limits }: LimitedWorkspace): Limited {
  return { owner: 'workspace', id, limits };
}

const none: readonly Limited[] = [];

/** Those of both that have limits: mostly none, which costs nothing. */
export function limitedOf(key: LimitedKey, workspace: LimitedWorkspace): readonly Limited[] {
  if (key.rateLimits === undefined && workspace.rateLimits === undefined) return none;
  return [ofKey(key), ofWorkspace(workspace)].filter(({ limits }) => limits !== undefined);
}
