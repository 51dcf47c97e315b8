import { type DescMethod, getOption } from '@bufbuild/protobuf';
import { required_scope } from '../../gen/typescript/harbor/api_keys/v1/required_scope_pb.ts';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';

/**
 * Bounds of what one process takes on; those of all bodies and answers together are in `memory-room.ts`. A payload of 262,144 bytes of JSON is at most 1.4 MB as a
 * protobuf Struct (an array of one-digit numbers), and at most 0.8 MB as JSON with \u escapes.
 */
export const requestBytesMax = 2 * 1024 * 1024;
/** A batch of up to 500 events. */
export const batchBytesMax = 8 * 1024 * 1024;
/**
 * The largest answer: that to a batch of 8 MiB, where "1e20," in JSON comes back as 22 bytes. A lower
 * limit would refuse the answer to what was stored.
 */
export const responseBytesMax = 40 * 1024 * 1024;
/** An answer of this size is compressed, for whoever takes it so. */
export const compressedBytesMin = 1024;
/** What needs no key: the name of a service, or nothing. A Watch keeps its room for days. */
export const requestBytesWithoutKeyMax = 4 * 1024;
/** Bodies that are inflated at once, as many as Node has threads for it; the others wait. */
export const inflationsMax = 4;
/** What is thrown away of a body after its answer; more, and the sender is cut off. */
export const discardedBytesMax = 16 * 1024 * 1024;
/** An answer of this size goes in any case: a created event, an error. */
export const smallAnswerBytesMax = 64 * 1024;
/** Unary calls in flight, half of them of one key; what comes on top is refused at once, so that these keep their latency. */
export const callsInFlightMax = 2_000;
/** Streams of whoever has shown no key, all together: those that watch the health. */
export const streamsWithoutKeyMax = 100;
/**
 * Streams from clients that have shown no key, which ask for reflection: all together, and of one connection. One more,
 * and the oldest ends.
 */
export const clientStreamsWithoutKeyMax = 64;
export const clientStreamsWithoutKeyOfConnectionMax = 16;
/** Messages that one of these takes; tools ask some dozens of questions. */
export const messagesWithoutKeyMax = 1_000;
/** A client that streams must have sent a whole message within this time after the answer to the one before. */
export const clientStreamIdleMs = 60_000;
/** Calls that ask for health at once; one more, and the oldest is refused. They need no other place. */
export const healthChecksMax = 1_000;
/** Calls that have shown no key, or whose key is being looked up; one more, and the oldest is ended. */
export const callsWithoutKeyMax = 12_000;
/** The longest timeout that a caller may ask for; a stream has none unless it asks. */
export const timeoutMsMax = 10 * 60_000;
/** A body must be complete, and a request's headers too, within this time. */
export const bodyTimeoutMs = 30_000;
export const headersTimeoutMs = 10_000;
/** A connection without a call is closed after this time. */
export const idleTimeoutMs = 120_000;
/** Calls at once on one HTTP/2 connection. */
export const streamsPerSessionMax = 128;
export const headerListPairsMax = 64;
/**
 * Headers of a call over HTTP/2, with 32 bytes for each: about what Node takes over HTTP/1.1. They are held until the call ends,
 * and count for nothing else: Node's 64 KiB would be 64 MiB of a thousand health checks, without a key.
 */
export const headerListBytesMax = 16 * 1024;
export const connectionsMax = 10_000;

/** The largest message of an RPC, as sent and as inflated. */
export function messageBytesMaxOf(method: DescMethod): number {
  if (method === EventsService.method.batchCreateEvents) return batchBytesMax;
  return getOption(method, required_scope) === '' ? requestBytesWithoutKeyMax : requestBytesMax;
}

/** What one stream from a client may have us hold and wait for. */
export interface ClientStreamLimits {
  /** The largest message, as sent and as inflated. */
  readonly messageBytesMax: number;
  /** Messages that have come and were not asked for yet, with their envelopes. */
  readonly waitingBytesMax: number;
  readonly messagesMax: number;
  readonly idleMs: number;
}

/** Undefined for a method whose clients send one message. */
export function clientStreamLimitsOf(method: DescMethod): ClientStreamLimits | undefined {
  if (method.methodKind !== 'client_streaming' && method.methodKind !== 'bidi_streaming') return;
  const messageBytesMax = messageBytesMaxOf(method);
  return {
    messageBytesMax,
    waitingBytesMax: 16 * messageBytesMax,
    messagesMax:
      messageBytesMax === requestBytesWithoutKeyMax
        ? messagesWithoutKeyMax
        : Number.MAX_SAFE_INTEGER,
    idleMs: clientStreamIdleMs,
  };
}

/** The largest message of a path's requests; what is no path of ours reads none. */
export function createRequestLimits(
  rpcs: ReadonlyMap<string, { readonly method: DescMethod }>,
): (path: string) => number {
  const ofRpcs = new Map([...rpcs].map(([path, { method }]) => [path, messageBytesMaxOf(method)]));
  return (path) =>
    ofRpcs.get(path) ?? (path.startsWith('/v1/') ? requestBytesMax : requestBytesWithoutKeyMax);
}

/** Undefined for a path whose clients send one message. */
export function createClientStreamLimits(
  rpcs: ReadonlyMap<string, { readonly method: DescMethod }>,
): (path: string) => ClientStreamLimits | undefined {
  const ofRpcs = new Map(
    [...rpcs].map(([path, { method }]) => [path, clientStreamLimitsOf(method)]),
  );
  return (path) => ofRpcs.get(path);
}
