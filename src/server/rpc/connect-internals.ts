import { ValidationError } from '@bufbuild/protovalidate';
import {
  type Code,
  ConnectError,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type Interceptor,
} from '@connectrpc/connect';
import type { UniversalHandler, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { type Call, callKey } from '../calls/call.ts';

/**
 * What the service relies on of Connect, and of protobuf-es below it, that their documentation does not
 * promise: each item says what, for what, and what would break. Nothing else of `src` imports what Connect
 * marks as its own. `test/connect-internals.test.ts` asserts each item against the installed packages, and
 * fails when package.json names other versions than these: whoever moves them looks here first.
 *
 * Two items are no function. `interceptors.ts` relies on interceptors seeing a unary call once its request is
 * parsed, and a stream before its messages are: otherwise what a sender got wrong would be told as the service's
 * fault, or the other way round. `inflation.ts` relies on Connect inflating a request in the asynchronous context
 * in which its handler was called: otherwise what requests inflate to would not count among their bytes.
 */
export const readInVersions = {
  '@bufbuild/protobuf': '2.17.0',
  '@bufbuild/protovalidate': '1.3.0',
  '@connectrpc/connect': '2.2.0',
  '@connectrpc/connect-node': '2.2.0',
  '@connectrpc/validate': '0.2.0',
} as const;

/**
 * Functions that Connect exports and marks `@private`: the tables of codes, an error from its JSON, and for
 * streams the codecs of a method, the envelope of five bytes (flags and length) and the choice of a
 * compression. If one were gone, nothing would compile; if one did something else, the error or stream would
 * be none of its protocol.
 */
export {
  compressedFlag,
  compressionNegotiate,
  createMethodSerializationLookup,
  type EnvelopedMessage,
  encodeEnvelope,
  transformSplitEnvelope,
} from '@connectrpc/connect/protocol';
export {
  codeToHttpStatus,
  codeToString,
  errorFromJson,
} from '@connectrpc/connect/protocol-connect';

/** The reason of a signal whose call is over; Connect would make a DOMException for each, which costs 5 µs. */
const callIsOver = new DOMException('the call is over', 'AbortError');

/**
 * Calls back with whatever ends a call, before Connect writes it down: the one place that errors from before
 * and behind the interceptors pass (a body that cannot be parsed, a timeout), in all three protocols.
 *
 * Relies on the context's own `abort`, which every handler calls with the error, and without one for a call
 * that went well; and on an error being written as it is then (see `amendError`). Otherwise errors of Connect
 * would leave without the details that every error carries.
 */
export function onEnd(context: HandlerContext, tell: (error: unknown) => void): void {
  const controller = context as HandlerContext & { abort(reason?: unknown): void };
  const { abort } = controller;
  controller.abort = (reason = callIsOver) => {
    if (reason !== callIsOver) tell(reason);
    abort(reason);
  };
}

/**
 * Changes what a caller is told by an error. Relies on Connect writing `code`, `rawMessage` and `details` of
 * an error, and not `message`, when its call ends. Otherwise long texts would not be cut, and what a caller
 * sent wrong would be told as INTERNAL.
 */
export function amendError(error: ConnectError, to: { code?: Code; rawMessage?: string }): void {
  Object.assign(error, to);
}

/**
 * Options of Connect's JSON codec by which the text of a request is made of its bytes by `decode`. Relies on the
 * codec taking a decoder, of which its options' type does not know. Otherwise what is not UTF-8 would be stored as
 * U+FFFD, integers that no double holds would be rounded, and times that no calendar has taken for others.
 */
export function decodedBy(decode: (bytes: Uint8Array<ArrayBuffer>) => string) {
  return { textDecoder: { decode } };
}

/** How a call ends that did not come to its handler, or has gone on without it. */
export interface End {
  readonly contentType: string;
  readonly call: Call;
  /** Undefined: a stream that went well. */
  readonly error?: unknown;
  /** Of the request, where the answer to a unary call may be compressed as it asks. */
  readonly requestHeader?: Headers;
  /** What the handler has added to its answer. */
  readonly header?: Headers | undefined;
  readonly trailer?: Headers | undefined;
}

const endKey = createContextKey<End | undefined>(undefined, {
  description: 'how the call has ended elsewhere',
});

/**
 * What Connect writes for a call that ends so: to a unary call its whole answer, to a stream what comes last.
 * Written as the answer to another call of the handler, which is refused at the gate or, where a stream went
 * well, answered with nothing by `answerEnd`.
 *
 * Relies on a handler reading no body before the gate has passed, nor before a streaming call has passed the
 * interceptors; and on the answer to such a call being the last part of one that has begun: the same trailers
 * or the same envelope. Otherwise streams would never end, or end in a way that their clients do not read.
 */
export function writeEnd(handler: UniversalHandler, end: End): Promise<UniversalServerResponse> {
  return handler({
    httpVersion: '2.0',
    method: 'POST',
    url: 'http://harbor',
    header: endHeader(end),
    body: unread(),
    signal: new AbortController().signal,
    contextValues: createContextValues().set(callKey, end.call).set(endKey, end),
  });
}

function endHeader({ contentType, requestHeader }: End): Headers {
  const header = new Headers({ 'content-type': contentType });
  for (const name of ['accept-encoding', 'grpc-accept-encoding']) {
    const value = requestHeader?.get(name) ?? null;
    if (value !== null) header.set(name, value);
  }
  return header;
}

// biome-ignore lint/correctness/useYield: it must not come to reading
async function* unread(): AsyncIterable<Uint8Array> {
  throw new Error('the body of a call that has ended was read');
}

/** For the gate: how the call has ended, where it comes only to have that written. */
export function findEnd(context: HandlerContext): End | undefined {
  const { values, responseHeader, responseTrailer } = context;
  const end = values.get(endKey);
  end?.header?.forEach((value, name) => {
    responseHeader.set(name, value);
  });
  end?.trailer?.forEach((value, name) => {
    responseTrailer.append(name, value);
  });
  return end;
}

/** Before all other interceptors: answers nothing to a stream that comes only to have its end written. */
export const answerEnd: Interceptor = (next) => async (request) => {
  const end = request.contextValues.get(endKey);
  if (!request.stream || end === undefined) return next(request);
  const { service, method } = request;
  const trailer = new Headers(end.trailer);
  // These are instead of what Connect has put there.
  if (/grpc/.test(end.contentType)) trailer.set('grpc-status', '0');
  return { stream: true, service, method, header: new Headers(), trailer, message: nothing() };
};

async function* nothing(): AsyncIterable<never> {
  // The stream's messages were sent before it has ended.
}

/**
 * A message says that it is compressed, and the headers do not say how. Relies on Connect's text: with
 * another one a caller would be told that its text and details are the service's fault.
 */
export function isCompressionUndeclared({ rawMessage }: ConnectError): boolean {
  return rawMessage === 'received compressed envelope, but do not know how to decompress';
}

/**
 * Why a request could not be inflated, undefined where that is not the matter. Relies on Connect's text and on
 * the error of zlib being its cause: otherwise a caller would not be told what is wrong with its bytes.
 */
export function findInflationError({ rawMessage, cause }: ConnectError): Error | undefined {
  return rawMessage === 'decompression failed' && cause instanceof Error ? cause : undefined;
}

/**
 * The member of a request in JSON that its message does not have. Relies on a text of protobuf-es: otherwise
 * the caller would be told that it cannot be read, but by no name.
 */
export function findUnknownMember({ message }: Error): string | undefined {
  return /key "(.+)" is unknown/.exec(message)?.[1];
}

/** A payload is no JSON object. Relies on protobuf-es naming the type that it could not make of it. */
export function isNoObject({ message }: Error): boolean {
  return message.includes('google.protobuf.Struct');
}

/**
 * The rules that a request breaks. Relies on the interceptor of @connectrpc/validate giving its error those as
 * the cause: otherwise a caller would be told of them in protovalidate's words instead of ours.
 */
export function findBrokenRules(error: unknown): ValidationError | undefined {
  const cause = error instanceof ConnectError ? error.cause : undefined;
  return cause instanceof ValidationError ? cause : undefined;
}
