import type { Client } from '@connectrpc/connect';
import { ConnectError } from '@connectrpc/connect';
import type { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';

/** What a load was told: which key made which event, and what went wrong on the way. */
export interface LoadReport {
  /** Event id by idempotency key, for every create that was acknowledged. */
  readonly acknowledged: Map<string, string>;
  readonly errors: ConnectError[];
}

export interface Load {
  readonly report: LoadReport;
  /** Resolves when this many creates have been acknowledged. */
  reached(count: number): Promise<void>;
  /** Ends the load; resolves when no call is in flight. */
  stop(): Promise<LoadReport>;
}

/**
 * Creates events without a pause, `writers` at a time, each under a key of its own. A create that fails
 * is sent again with the same key when `retry` says so, until it is acknowledged or the load ends.
 */
export function startLoad(options: {
  readonly client: () => Client<typeof EventsService>;
  readonly workspaceId: string;
  readonly writers: number;
  readonly retry: boolean;
}): Load {
  const report: LoadReport = { acknowledged: new Map(), errors: [] };
  const waiting: { count: number; resolve: () => void }[] = [];
  let stopping = false;

  async function create(key: string): Promise<void> {
    const request = {
      workspaceId: options.workspaceId,
      type: 'load.tested',
      payload: { key },
      idempotencyKey: key,
    };
    while (!stopping) {
      try {
        const { event } = await options.client().createEvent(request);
        report.acknowledged.set(key, event?.id ?? '');
        for (const one of waiting) if (report.acknowledged.size >= one.count) one.resolve();
        return;
      } catch (error) {
        report.errors.push(ConnectError.from(error));
        if (!options.retry) return;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  const writers = Array.from({ length: options.writers }, async (_, writer) => {
    for (let turn = 0; !stopping; turn++) await create(`writer ${writer} turn ${turn}`);
  });

  return {
    report,
    reached: (count) =>
      new Promise((resolve) => {
        if (report.acknowledged.size >= count) resolve();
        else waiting.push({ count, resolve });
      }),
    async stop() {
      stopping = true;
      await Promise.all(writers);
      return report;
    },
  };
}
