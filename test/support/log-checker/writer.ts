import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@connectrpc/connect';
import type { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import { isPassing, isPassingReason } from './passing-error.ts';
import { type Random, upTo } from './random.ts';

export interface WriterOptions {
  readonly name: string;
  readonly client: Client<typeof EventsService>;
  readonly workspaceId: string;
  /** Events of one call at the most; calls of one event are CreateEvent, the others BatchCreateEvents. */
  readonly batchMax: number;
  readonly acknowledgements: Acknowledgements;
  /** Ends once this many events were acknowledged, over all writers. */
  readonly eventsMax: number;
  readonly random: Random;
  /** Ends it before. */
  readonly signal: AbortSignal;
}

export interface Writer {
  /** A key of the call after the one that is on its way. */
  nextKey(): string;
  /** Resolves when it has written its part; rejects at what must not happen to a writer. */
  readonly ended: Promise<void>;
}

const retryAfterMs = 10;
const callTimeoutMs = 15_000;
/** So that an event has the size of one in life. */
const filling = 'x'.repeat(120);

type Request = ReturnType<typeof toRequest>;

function toRequest(workspaceId: string, key: string) {
  const payload = { key, filling };
  return { workspaceId, type: 'log.checked', payload, idempotencyKey: key };
}

/** Creates events of known content, each under a key, and sends them again until they are acknowledged. */
export function startWriter(options: WriterOptions): Writer {
  const { name, client, workspaceId, acknowledgements, random, signal } = options;
  let turn = 0;
  const keyOf = (turnOfKey: number, item: number) => `${name} turn ${turnOfKey} item ${item}`;

  async function write(): Promise<void> {
    for (; acknowledgements.progress.count < options.eventsMax && !signal.aborted; turn++) {
      const count = random() < 0.1 ? 1 : upTo(random, options.batchMax);
      let open = Array.from({ length: count }, (_, item) =>
        toRequest(workspaceId, keyOf(turn, item)),
      );
      while (open.length > 0 && !signal.aborted) {
        open = await send(open).catch((error) => {
          if (!isPassing(error)) throw error;
          return open;
        });
        if (open.length > 0) await delay(retryAfterMs);
      }
    }
  }

  /** Returns what has to be sent again. */
  async function send(requests: Request[]): Promise<Request[]> {
    const [first] = requests;
    if (requests.length === 1 && first !== undefined) {
      const { event } = await client.createEvent(first, { timeoutMs: callTimeoutMs });
      acknowledgements.note(first.idempotencyKey, event?.id ?? '');
      return [];
    }
    const { results } = await client.batchCreateEvents({ requests }, { timeoutMs: callTimeoutMs });
    return requests.filter((request, index) => {
      const result = results[index]?.result;
      if (result?.case === 'created') {
        acknowledgements.note(request.idempotencyKey, result.value.event?.id ?? '');
        return false;
      }
      const reason = result?.value?.reason ?? 'no result';
      if (!isPassingReason(reason)) throw new Error(`a create failed for good: ${reason}`);
      return true;
    });
  }

  return { nextKey: () => keyOf(turn + 1, 0), ended: write() };
}
