import {
  checkWebhooks,
  type Kill,
  type WebhookCheck,
} from '../../test/support/webhook-check/check-webhooks.ts';
import { formatCount, type Report } from '../report.ts';

/** 2 million deliveries, as three of the twenty endpoints want a tenth of the events. */
const events = 116_000;
const round: readonly Kill[] = ['first service', 'both', 'second service', 'postgres'];
const rounds = 8;

/** What the test of faults checks, twenty times as long. */
export async function benchWebhookFaults(): Promise<Report> {
  const check = await checkWebhooks({
    events,
    kills: Array.from({ length: rounds }, () => round).flat(),
    seed: Date.now(),
    msMax: 3_600_000,
  });
  const verdicts = Object.values(check.endpoints);
  for (const miscount of check.miscounts) console.error(miscount);
  for (const [path, { examples }] of Object.entries(check.endpoints)) {
    for (const example of examples) console.error(`${path} ${example}`);
  }
  const sum = (what: 'missing' | 'foreign' | 'outOfOrder' | 'mistaken' | 'duplicates') =>
    verdicts.reduce((total, verdict) => total + verdict[what], 0);
  const faults =
    sum('missing') + sum('foreign') + sum('outOfOrder') + sum('mistaken') + check.miscounts.length;
  return {
    title: 'Webhooks under faults',
    table: [['', ''], ...rowsOf(check, sum)],
    aims: [
      {
        what: 'deliveries missing, foreign, out of order, as another event or delivery, or miscounted',
        measured: formatCount(faults),
        aim: '≤ 0',
        met: faults === 0,
      },
    ],
  };
}

function rowsOf(
  { deliveries, endpoints, requests, misbehaved, cutOff, lost, ms }: WebhookCheck,
  sum: (what: 'missing' | 'outOfOrder' | 'duplicates') => number,
): string[][] {
  return [
    [`deliveries to ${Object.keys(endpoints).length} endpoints`, formatCount(deliveries)],
    ['requests', formatCount(requests)],
    ['answered badly or not at all, spells of 503 apart', formatCount(misbehaved)],
    ['events missing', formatCount(sum('missing'))],
    ['out of a promised order', formatCount(sum('outOfOrder'))],
    ['sent again after a success that was not recorded', formatCount(sum('duplicates'))],
    ['cut off by a kill of both, and taken up', `${cutOff.requests}, ${cutOff.accepted}`],
    ['answers of PostgreSQL lost, with their connections', formatCount(lost)],
    ['kills', formatCount(round.length * rounds)],
    ['seconds', formatCount(ms / 1000)],
  ];
}
