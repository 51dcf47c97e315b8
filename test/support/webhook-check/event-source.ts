import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@connectrpc/connect';
import type { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { isPassing, isPassingReason } from '../log-checker/passing-error.ts';
import { type Random, upTo } from '../log-checker/random.ts';

export interface EventSourceOptions {
  /** Each call takes the next one, and the one after that when it has failed. */
  readonly clients: readonly Client<typeof EventsService>[];
  readonly workspaceId: string;
  readonly events: number;
  readonly random: Random;
  /** Waits until an event may be created, by how many there are. */
  readonly mayFollow: (created: number) => Promise<void>;
}

/** One event of ten is of the type that few want. */
export const rareType = 'check.rare';
const usualType = 'check.usual';
const subjects = 40;
const batchMax = 60;
const retryAfterMs = 20;
const callTimeoutMs = 15_000;
/** Some bodies are not there yet when their request is answered. */
const longText = 'x'.repeat(64 * 1024);

/** Creates events, and sends them again until all of them were acknowledged. */
export async function createEvents(options: EventSourceOptions): Promise<void> {
  const { clients, events, random, mayFollow } = options;
  let calls = 0;
  for (let created = 0; created < events; ) {
    await mayFollow(created);
    const count = Math.min(upTo(random, batchMax), events - created);
    let open = Array.from({ length: count }, (_, n) => toRequest(options, created + n));
    while (open.length > 0) {
      const client = clients[calls++ % clients.length] as Client<typeof EventsService>;
      open = await send(client, open);
      if (open.length > 0) await delay(retryAfterMs);
    }
    created += count;
  }
}

function toRequest({ workspaceId, random }: EventSourceOptions, n: number) {
  return {
    workspaceId,
    type: n % 10 === 0 ? rareType : usualType,
    // Some are about nothing.
    subject: random() < 0.1 ? '' : `customer-${upTo(random, subjects)}`,
    payload: { n, text: random() < 0.005 ? longText : 'short' },
    idempotencyKey: `event ${n}`,
  };
}

/** Returns what has to be sent again. */
async function send(
  client: Client<typeof EventsService>,
  requests: ReturnType<typeof toRequest>[],
): Promise<ReturnType<typeof toRequest>[]> {
  try {
    const { results } = await client.batchCreateEvents({ requests }, { timeoutMs: callTimeoutMs });
    return requests.filter((_, index) => {
      const result = results[index]?.result;
      if (result?.case === 'created') return false;
      const reason = result?.value?.reason ?? 'no result';
      if (!isPassingReason(reason)) throw new Error(`a create failed for good: ${reason}`);
      return true;
    });
  } catch (error) {
    if (!isPassing(error)) throw error;
    return requests;
  }
}
