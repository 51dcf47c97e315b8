import prometheus from 'prom-client';
import type { CreateOutcome, Watcher } from '../observer.ts';
import { showTally } from './tally.ts';

const queueSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const statementSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Up to what one statement writes at the most. */
const batchSizes = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** Creates, and how the queue writes them. */
export function watchAppends(registry: prometheus.Registry): Watcher {
  const registers = [registry];
  const outcomes: Record<CreateOutcome, number> = {
    created: 0,
    replayed: 0,
    key_reused: 0,
    overloaded: 0,
    unavailable: 0,
    abandoned: 0,
    failed: 0,
  };
  showTally(registry, {
    name: 'harbor_creates_total',
    help: 'Creates that reached the queue and were answered, each of a batch by itself',
    labels: ['outcome'],
    read: () =>
      Object.entries(outcomes).map(([outcome, count]) => ({ labels: { outcome }, count })),
  });
  const waits = new prometheus.Histogram({
    name: 'harbor_append_queue_wait_seconds',
    help: 'How long creates waited until they were sent to PostgreSQL',
    buckets: queueSeconds,
    registers,
  });
  const sizes = new prometheus.Histogram({
    name: 'harbor_append_batch_creates',
    help: 'Creates that were written together',
    buckets: batchSizes,
    registers,
  });
  const statements = new prometheus.Histogram({
    name: 'harbor_append_statement_seconds',
    help: 'Statements that append, with the wait for a connection, until they are on disk or have failed',
    labelNames: ['outcome'],
    buckets: statementSeconds,
    registers,
  });
  statements.zero({ outcome: 'stored' });
  statements.zero({ outcome: 'failed' });

  return {
    createEnded(outcome) {
      outcomes[outcome]++;
    },
    batchTaken(creates, takenAtMs) {
      sizes.observe(creates.length);
      for (const { askedAtMs } of creates) waits.observe((takenAtMs - askedAtMs) / 1_000);
    },
    batchWritten({ durationMs, error }) {
      statements.observe(
        { outcome: error === undefined ? 'stored' : 'failed' },
        durationMs / 1_000,
      );
    },
  };
}
