import type { Gauge } from '../gauge.ts';
import type { AppendQueue } from './append/append-queue.ts';
import type { EventFeeds } from './follow/event-feeds.ts';
import type { OpenReaders } from './follow/open-readers.ts';

export interface EventGaugesDeps {
  readonly queue: Pick<AppendQueue, 'load'>;
  readonly feeds: Pick<EventFeeds, 'count' | 'memory'>;
  readonly readers: Pick<OpenReaders, 'count'>;
}

/** What the queue of creates, the feeds and their readers show. */
export function eventGauges({ queue, feeds, readers }: EventGaugesDeps): Gauge[] {
  return [
    {
      name: 'harbor_append_queue_creates',
      help: 'Creates that wait to be sent to PostgreSQL; at 16,000 more are refused',
      read: () => queue.load.waiting,
    },
    {
      name: 'harbor_append_queue_bytes',
      help: 'The content of those creates; at 64 MiB, or less on a small heap, more are refused',
      read: () => queue.load.waitingBytes,
    },
    {
      name: 'harbor_append_batches_open',
      help: 'Batches of creates that are being written, 6 at the most',
      read: () => queue.load.flights,
    },
    {
      name: 'harbor_append_locked_workspaces',
      help: 'Workspaces that somebody else holds locked, and whose creates wait for it',
      read: () => queue.load.lockedWorkspaces,
    },
    {
      name: 'harbor_feeds',
      help: 'Logs that somebody follows through this process',
      read: () => feeds.count,
    },
    {
      name: 'harbor_feed_bytes',
      help: 'What the feeds keep of the newest events; the idlest gives way at 256 MiB, or less on a small heap',
      read: () => feeds.memory.bytes,
    },
    {
      name: 'harbor_stream_readers',
      help: 'Streams of events, by whether they have come to the end of their log',
      label: 'state',
      read() {
        const { caughtUp, behind } = readers.count();
        return { caught_up: caughtUp, behind };
      },
    },
    {
      name: 'harbor_stream_reader_lag_events',
      help: 'How many events of its log the stream that is furthest behind has not come to',
      read: () => readers.count().lagMax,
    },
  ];
}
