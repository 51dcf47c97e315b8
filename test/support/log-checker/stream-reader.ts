import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@connectrpc/connect';
import type { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createMilestones } from './milestones.ts';
import { isPassing } from './passing-error.ts';
import type { Reader } from './reader.ts';
import { toLine } from './verdict.ts';

/** When a reader's stream is cut, by the count of its events or by time. */
export type Cut = { readonly events: number } | { readonly ms: number };

export interface StreamReaderOptions {
  readonly name: string;
  /** One for each process of the service; the next one is asked after every cut. */
  readonly clients: readonly Client<typeof EventsService>[];
  readonly workspaceId: string;
  /** Where the next cut is. */
  readonly nextCut: () => Cut;
}

const retryAfterMs = 20;

/** Follows the log over SubscribeEvents, is cut again and again, and resumes from its sequence. */
export function startStreamReader(options: StreamReaderOptions): Reader {
  const { name, clients, workspaceId, nextCut } = options;
  const lines: string[] = [];
  const progress = createMilestones();
  const stopping = new AbortController();
  let afterSequence = 0n;
  let cuts = 0;

  async function readUntilCut(client: Client<typeof EventsService>): Promise<void> {
    const cut = nextCut();
    const over = new AbortController();
    const timer = 'ms' in cut ? setTimeout(() => over.abort(), cut.ms) : undefined;
    const signal = AbortSignal.any([over.signal, stopping.signal]);
    let left = 'events' in cut ? cut.events : Number.POSITIVE_INFINITY;
    try {
      const request = { workspaceId, afterSequence };
      for await (const { message, sequence } of client.subscribeEvents(request, { signal })) {
        afterSequence = sequence;
        if (message.case !== 'event') continue;
        const { sequence: place, id, payload } = message.value;
        lines.push(toLine(place, id, payload?.key));
        progress.reach(Number(place));
        if (--left <= 0) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isPassing(error)) throw error;
      await delay(retryAfterMs);
    } finally {
      clearTimeout(timer);
      over.abort();
    }
  }

  async function read(): Promise<void> {
    for (let turn = 0; !stopping.signal.aborted; turn++) {
      await readUntilCut(clients[turn % clients.length] as Client<typeof EventsService>);
      cuts++;
    }
  }

  return {
    name,
    lines,
    progress,
    get cuts() {
      return cuts;
    },
    ended: read(),
    stop: () => stopping.abort(),
  };
}
