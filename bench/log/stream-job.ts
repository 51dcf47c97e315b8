/** What a process of readers is asked to do. */
export type StreamJob =
  | {
      /** Reads one stream over gRPC from the beginning until `events` of them have come. */
      readonly kind: 'catch up';
      readonly port: number;
      readonly secretKey: string;
      readonly workspaceId: string;
      readonly events: number;
    }
  | {
      /** Creates events at an even rate, and subscribes to them. */
      readonly kind: 'latency';
      readonly writePort: number;
      readonly readPort: number;
      readonly secretKey: string;
      readonly workspaceId: string;
      readonly perSecond: number;
      readonly events: number;
    }
  | {
      /** Subscribes many times, creates events in batches, and ends when each subscriber has all of them. */
      readonly kind: 'fan out';
      readonly port: number;
      readonly secretKey: string;
      readonly workspaceId: string;
      readonly followers: number;
      readonly events: number;
    }
  | {
      /** Subscribes and stays, until the process is ended. */
      readonly kind: 'stay';
      readonly port: number;
      readonly secretKey: string;
      readonly workspaceIds: readonly string[];
      readonly sessions: number;
      readonly streamsPerSession: number;
    };

export type StreamResult =
  | { readonly kind: 'catch up'; readonly perSecond: number }
  | { readonly kind: 'fan out'; readonly perSecond: number }
  | ({ readonly kind: 'latency' } & Latencies)
  | { readonly kind: 'stay' };

export interface Percentiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Latencies {
  /** After the answer to the create, which is sent when the commit is on disk; 0 where it came before. */
  readonly afterAnswer: Percentiles;
  /** After the event's time, which PostgreSQL takes before the commit. */
  readonly afterCreatedAt: Percentiles;
}

export type StreamReply = { readonly result: StreamResult } | { readonly failure: string };
