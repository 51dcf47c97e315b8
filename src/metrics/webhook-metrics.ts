import prometheus from 'prom-client';
import type { SentWebhook, Watcher } from '../observer.ts';
import { showTally } from './tally.ts';

const bucketsSeconds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** The schedule has ten tries; more are those that somebody has asked for. */
const attemptBuckets = [1, 2, 3, 4, 5, 6, 8, 10, 15];

/** Requests of webhooks, and what becomes of their deliveries. */
export function watchWebhooks(registry: prometheus.Registry): Watcher {
  const registers = [registry];
  const counts = new Map<string, { labels: Record<string, string>; count: number }>();
  showTally(registry, {
    name: 'harbor_webhook_requests_total',
    help: 'Requests that were answered, or failed without an answer (status "none")',
    labels: ['outcome', 'status'],
    read: () => counts.values(),
  });
  const durations = new prometheus.Histogram({
    name: 'harbor_webhook_request_seconds',
    help: 'Requests, from their connection to the end of their answer',
    buckets: bucketsSeconds,
    registers,
  });
  const attempts = new prometheus.Histogram({
    name: 'harbor_webhook_delivery_attempts',
    help: 'How many requests deliveries took until they succeeded or were given up',
    labelNames: ['outcome'],
    buckets: attemptBuckets,
    registers,
  });
  attempts.zero({ outcome: 'succeeded' });
  attempts.zero({ outcome: 'failed' });

  return {
    webhookSent(request) {
      const { outcome, attempt, durationMs } = request;
      const status = statusOf(request);
      const key = `${outcome} ${status}`;
      const tally = counts.get(key) ?? { labels: { outcome, status }, count: 0 };
      tally.count++;
      counts.set(key, tally);
      durations.observe(durationMs / 1_000);
      if (outcome !== 'retry') attempts.observe({ outcome }, attempt);
    },
  };
}

/** `2xx` and so on: a receiver may answer by any number of three digits. */
function statusOf({ status }: SentWebhook): string {
  return status === undefined ? 'none' : `${Math.floor(status / 100)}xx`;
}
