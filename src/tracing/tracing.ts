import type { EndedCall, Protocol, SentWebhook, Watcher } from '../observer.ts';

/**
 * What the service does, as spans for a collector. What is not traced is undefined: because nothing is, or because the
 * sampler has left it out. Each function returns at once and never throws; times are those of `performance.now()`.
 */
export interface Tracing {
  beginCall(call: BegunCall): CallTrace | undefined;
  beginRequest(request: BegunRequest): RequestTrace | undefined;
  /** Tells of what goes on in the trace of a call. */
  readonly watcher: Watcher;
  /** Sends what is held, for 2 s at the most, and gives up the rest. */
  stop(): Promise<void>;
}

/** A span that has begun, as others name it. */
export interface BegunSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** For what goes on behind it. */
  readonly traceparent: string;
}

export interface BegunCall {
  /** `package.Service/Method`. */
  readonly rpc: string;
  readonly protocol: Protocol;
  readonly requestId: string;
  readonly startedAtMs: number;
  /** As they were sent, valid or not. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

export interface CallTrace extends BegunSpan {
  /** @param reason of the contract's errors. */
  end(
    call: Pick<EndedCall, 'code' | 'startedAtMs' | 'durationMs'>,
    reason: string | undefined,
  ): void;
}

/** A request of a webhook that goes out. */
export interface BegunRequest {
  readonly url: string;
  readonly workspaceId: string;
  /** `whe_…` and `dlv_…`. */
  readonly endpointId: string;
  readonly deliveryId: string;
  readonly attempt: number;
  /** `rpl_…` where it is of a replay. */
  readonly replayId: string | undefined;
  readonly event: SentWebhook['event'];
}

export interface RequestTrace extends BegunSpan {
  /** @param error why there was no answer, in one of few words. */
  end(answer: { readonly status?: number | undefined; readonly error?: string | undefined }): void;
}
