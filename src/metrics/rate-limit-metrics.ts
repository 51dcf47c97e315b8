import type prometheus from 'prom-client';
import type { RateLimitRefusal, Watcher } from '../observer.ts';
import { showTally } from './tally.ts';

const owners: readonly RateLimitRefusal['owner'][] = ['api_key', 'workspace'];
const limits: readonly RateLimitRefusal['limit'][] = [
  'creates_per_second',
  'create_bytes_per_second',
  'streams',
];

/** What rate limits have refused; not whom, which would be a label that grows with users. */
export function watchRateLimits(registry: prometheus.Registry): Watcher {
  const nameOf = ({ owner, limit }: RateLimitRefusal) => `${owner} ${limit}`;
  const tallies = owners.flatMap((owner) => limits.map((limit) => ({ owner, limit })));
  const counts = new Map(tallies.map((tally) => [nameOf(tally), 0]));
  showTally(registry, {
    name: 'harbor_rate_limited_total',
    help: 'Calls, and items of batches, that a rate limit has refused',
    labels: ['of', 'limit'],
    read: () =>
      tallies.map(({ owner, limit }) => ({
        labels: { of: owner, limit },
        count: counts.get(nameOf({ owner, limit })) ?? 0,
      })),
  });
  return {
    rateLimited(refusal) {
      const name = nameOf(refusal);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    },
  };
}
