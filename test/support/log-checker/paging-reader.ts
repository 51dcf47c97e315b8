import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@connectrpc/connect';
import type { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createMilestones } from './milestones.ts';
import { isPassing } from './passing-error.ts';
import { type Random, upTo } from './random.ts';
import type { Reader } from './reader.ts';
import { toLine } from './verdict.ts';

export interface PagingReaderOptions {
  readonly name: string;
  readonly clients: readonly Client<typeof EventsService>[];
  readonly workspaceId: string;
  readonly random: Random;
}

const pageSizeMax = 500;
/** Between two looks at the end of the log. */
const pollEveryMs = 20;

/** Reads the log with ListEvents: page by page to its end, then again after the last sequence it saw. */
export function startPagingReader(options: PagingReaderOptions): Reader {
  const { name, clients, workspaceId, random } = options;
  const lines: string[] = [];
  const progress = createMilestones();
  const stopping = new AbortController();
  let cuts = 0;

  /** Reads one list to its end, and resumes it by its token where a call fails. */
  async function readList(afterSequence: number): Promise<void> {
    let pageToken = '';
    for (let turn = 0; !stopping.signal.aborted; turn++) {
      const client = clients[turn % clients.length] as Client<typeof EventsService>;
      const pageSize = upTo(random, pageSizeMax);
      const request = { workspaceId, afterSequence: BigInt(afterSequence), pageSize, pageToken };
      const page = await client.listEvents(request, { timeoutMs: 10_000 }).catch((error) => {
        if (!isPassing(error)) throw error;
        cuts++;
      });
      if (page === undefined) {
        await delay(pollEveryMs);
        continue;
      }
      for (const { sequence, id, payload } of page.events) {
        lines.push(toLine(sequence, id, payload?.key));
        progress.reach(Number(sequence));
      }
      pageToken = page.nextPageToken;
      if (pageToken === '') return;
    }
  }

  async function read(): Promise<void> {
    while (!stopping.signal.aborted) {
      await readList(progress.count);
      await delay(pollEveryMs);
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
