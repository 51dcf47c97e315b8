/**
 * Whoever watches what the service does: metrics, traces. Told in plain facts where something is done, after it is done,
 * in the hot path: each function returns at once and never throws. Times are those of `performance.now()`.
 */
export interface Observer {
  /** A call is over: its answer was taken, or cannot be. */
  callEnded(call: EndedCall): void;
  /** A create is answered: one of a call, or one of the many of a batch. */
  createEnded(outcome: CreateOutcome): void;
  /** A rate limit has refused a call, or one of the many creates of a batch. */
  rateLimited(refusal: RateLimitRefusal): void;
  /** Creates have left the queue, to be written together; one that is put back leaves it again later. */
  batchTaken(creates: readonly QueuedCreate[], takenAtMs: number): void;
  /** A statement that appends has ended; a batch may need several. */
  batchWritten(batch: WrittenBatch): void;
  /** PostgreSQL has answered one statement, of whatever kind, or its connection was lost. */
  statementEnded(statement: EndedStatement): void;
  /** A request of a webhook was answered, or has failed without an answer. */
  webhookSent(request: SentWebhook): void;
}

/** An RPC of the contract: one object each, made once, so that it may be a key. */
export interface ObservedRpc {
  /** `package.Service/Method`. */
  readonly name: string;
  readonly isStream: boolean;
}

/** How a call was spoken; `rest` is whatever came as plain HTTP. */
export type Protocol = 'grpc' | 'grpc-web' | 'connect' | 'rest';

export interface Timed {
  readonly startedAtMs: number;
  readonly durationMs: number;
}

export interface EndedCall extends Timed {
  /** Undefined: none, such as a probe, or a path where nothing is. */
  readonly rpc: ObservedRpc | undefined;
  readonly protocol: Protocol;
  /** `ok`, or the code of the contract's errors. */
  readonly code: string;
  /** Why it was refused, by the contract's reasons; undefined: it was not, or without a reason. */
  readonly reason: string | undefined;
}

export type CreateOutcome =
  | 'created'
  | 'replayed'
  /** Its idempotency key holds other content. */
  | 'key_reused'
  /** The queue was full. */
  | 'overloaded'
  /** PostgreSQL did not store it in time, or nobody knows whether it did. */
  | 'unavailable'
  /** Its caller has left, or had no more time. */
  | 'abandoned'
  /** Whatever else: its workspace is gone, PostgreSQL has refused it. */
  | 'failed';

/** Whose limit it was, and which: by the names that callers are told. */
export interface RateLimitRefusal {
  readonly owner: 'api_key' | 'workspace';
  readonly limit: 'creates_per_second' | 'create_bytes_per_second' | 'streams';
}

export interface QueuedCreate {
  readonly askedAtMs: number;
  readonly event: { readonly workspaceId: string; readonly traceContext?: string | undefined };
}

export interface WrittenBatch extends Timed {
  /** Creates with the same idempotency key share a row. */
  readonly rows: readonly (readonly QueuedCreate[])[];
  /** Undefined: its rows are on disk. */
  readonly error: unknown;
}

export interface EndedStatement extends Timed {
  /** That of a prepared statement; undefined: it has none. */
  readonly name: string | undefined;
  readonly isFailed: boolean;
}

export interface SentWebhook extends Timed {
  /** What becomes of its delivery: it has come to its end, is tried again, or is given up. */
  readonly outcome: 'succeeded' | 'retry' | 'failed';
  /** Of the requests of its delivery; 1 is the first. */
  readonly attempt: number;
  /** Of the answer; undefined: there was none. */
  readonly status: number | undefined;
  readonly event: { readonly id: string; readonly traceContext?: string | undefined };
}

/** Who wants to be told of some of it. */
export type Watcher = Partial<Observer>;

const ignore = () => undefined;

/** One observer for all watchers; what nobody watches costs an empty call. */
export function observeFor(watchers: readonly Watcher[]): Observer {
  function tell<Name extends keyof Observer>(name: Name): Observer[Name] {
    const told = watchers.flatMap((watcher) => watcher[name]?.bind(watcher) ?? []);
    const [only, ...others] = told as ((...facts: unknown[]) => void)[];
    if (others.length === 0) return (only ?? ignore) as Observer[Name];
    return (...facts: unknown[]) => {
      only?.(...facts);
      for (const other of others) other(...facts);
    };
  }
  return {
    callEnded: tell('callEnded'),
    createEnded: tell('createEnded'),
    rateLimited: tell('rateLimited'),
    batchTaken: tell('batchTaken'),
    batchWritten: tell('batchWritten'),
    statementEnded: tell('statementEnded'),
    webhookSent: tell('webhookSent'),
  };
}

/** Nobody watches. */
export const unobserved = observeFor([]);
