import type { ContextValues } from '@connectrpc/connect';
import { type Standing, standingKey } from '../../rate-limits/index.ts';

const owners = { api_key: 'key', workspace: 'workspace' };
/** What is counted, where it is not requests. */
const limits = {
  creates_per_second: { name: 'creates', unit: '' },
  create_bytes_per_second: { name: 'create-bytes', unit: ';qu="content-bytes"' },
  streams: { name: 'streams', unit: ';qu="concurrent-requests"' },
};

/**
 * `RateLimit-Policy` and `RateLimit` as the IETF's draft has them (draft-ietf-httpapi-ratelimit-headers-10): lists of
 * structured fields, an item for each limit. None where the call has no limits.
 */
export function addRateLimits(header: Headers, values: ContextValues): void {
  const standings = values.get(standingKey)?.() ?? [];
  if (standings.length === 0) return;
  header.set('ratelimit-policy', standings.map(toPolicy).join(', '));
  const left = standings.flatMap(toLeft);
  if (left.length > 0) header.set('ratelimit', left.join(', '));
}

function toPolicy(standing: Standing): string {
  const { limit, quota, windowSeconds } = standing;
  const window = windowSeconds === undefined ? '' : `;w=${windowSeconds}`;
  return `${nameOf(standing)};q=${quota}${limits[limit].unit}${window}`;
}

function toLeft(standing: Standing): string[] {
  const { left, resetMs } = standing;
  if (left === undefined) return [];
  const reset = resetMs === undefined ? '' : `;t=${Math.ceil(resetMs / 1000)}`;
  return [`${nameOf(standing)};r=${left}${reset}`];
}

function nameOf({ owner, limit }: Standing): string {
  return `"${owners[owner]}-${limits[limit].name}"`;
}
