import { randomUUID } from 'node:crypto';
import type { DescMethod } from '@bufbuild/protobuf';
import { Code, ConnectError, createContextKey } from '@connectrpc/connect';
import type { Protocol } from '../../observer.ts';
import type { CallTrace } from '../../tracing/tracing.ts';

/** Where a call takes its place: each room is full by itself. */
export type Room = 'unary' | 'stream' | 'stream_without_key' | 'client_stream_without_key';

/** One request, from its headers to the end of its answer: what the log says about it. */
export interface Call {
  /** Taken from `x-request-id` when it is sane, else made. */
  readonly requestId: string;
  readonly startedAtMs: number;
  /** Of HTTP; over HTTP/2 the caller may have made it up. */
  readonly method: string;
  /** As they were sent, valid or not. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  /** Its span; none where it is not traced, and before the gate has let it in. */
  trace?: CallTrace;
  /** That of its content type, where it is for an RPC's own path; the REST face says so where it is not. */
  protocol: Protocol;
  /** Which RPC it is, once that is known; none for a probe, or a path where nothing is. */
  rpc?: DescMethod;
  apiKeyId?: string;
  /** What it shares with the other calls of the same connection. */
  connection?: object;
  /** The room in which it has a place until it ends; none before it is admitted. */
  room?: Room;
  /** Its turn among all calls that were admitted: those before it have a lower one. Kept by the admission. */
  turn?: number;
  /** Its request was read and parsed: what fails from here on is no fault of the sender's bytes. */
  isReceived?: boolean;
  /** The origin of a browser app whose preflight was refused. */
  refusedOrigin?: string;
  /** What is held of its body, as allocated; kept by the admission. */
  bodyBytes: number;
  /** Why it failed, as the caller was told. */
  failure?: { readonly code: string; readonly reason: string };
  /** What only the operator sees. */
  cause?: unknown;
}

/** Where the adapter leaves the call for gate, interceptors and REST face. */
export const callKey = createContextKey<Call | undefined>(undefined, {
  description: 'the call that is being answered',
});

const saneRequestId = /^[\w.:+/=@-]{1,128}$/;

/** What of its headers a call begins with. */
export interface CallHeaders {
  readonly requestId?: string | undefined;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  readonly contentType?: string | undefined;
}

export function beginCall(
  method: string,
  { requestId, traceparent, tracestate, contentType = '' }: CallHeaders = {},
): Call {
  const sane = requestId !== undefined && saneRequestId.test(requestId);
  return {
    requestId: sane ? requestId : randomUUID(),
    startedAtMs: performance.now(),
    method,
    traceparent,
    tracestate,
    protocol: protocolOf(contentType),
    bodyBytes: 0,
  };
}

function protocolOf(contentType: string): Protocol {
  if (!contentType.startsWith('application/grpc')) return 'connect';
  return contentType.startsWith('application/grpc-web') ? 'grpc-web' : 'grpc';
}

/** Why a call ends whose caller has left; made once, since making an error for each costs 5 µs. */
export const callerGone = new ConnectError('the caller went away', Code.Canceled);
