import type { Readable } from 'node:stream';
import type { LoopTurns } from '../../loop-turns.ts';
import type { Admission } from '../calls/admission.ts';
import { beginCall, type Call, callerGone } from '../calls/call.ts';
import { badAuthority } from '../errors/plain-answers.ts';
import { CallsInFlightFull } from '../errors/request-errors.ts';
import type { ClientStreamLimits } from '../limits.ts';
import { type Dispatch, isAuthority, splitTarget, type ToHeaders } from './exchange.ts';
import { LateSignal } from './late-signal.ts';
import { ReceivedRequest } from './received-request.ts';
import { type IncomingBody, ReceivedBody } from './request-body.ts';
import {
  type AnswerSink,
  ReaderStalled,
  readerStalledFailure,
  Sending,
  type SendingDeps,
} from './sending.ts';
import { StreamedBody } from './streamed-body.ts';

export interface AnswerDeps extends SendingDeps {
  readonly dispatch: Dispatch;
  readonly admission: Admission;
  readonly toHeaders: ToHeaders;
  readonly turns: LoopTurns;
  /** The largest message of a path's requests, in bytes. */
  readonly bytesMaxOf: (path: string) => number;
  /** Undefined for a path whose requests are one message. */
  readonly clientStreamLimitsOf: (path: string) => ClientStreamLimits | undefined;
  /** Called once an answer is taken, or cannot be. */
  readonly onEnd: (call: Call, path: string, status: number) => void;
}

/** A request as one version of HTTP has brought it, and the way to answer it. */
export interface Incoming extends AnswerSink {
  readonly httpVersion: string;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** `:authority` or `Host`; undefined when there is none, or more than one. */
  readonly authority: string | undefined;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly source: Readable;
  /** What its call shares with the others of the same caller. */
  readonly connection: object;
}

const crowdedOut = { code: 'resource_exhausted', reason: 'OVERLOADED' } as const;

/** Answers one request, whatever happens on the way, and lasts until its answer is taken. Never rejects. */
export async function answer(incoming: Incoming, deps: AnswerDeps): Promise<void> {
  const { admission } = deps;
  const { headers } = incoming;
  const call = beginCall(incoming.method, {
    requestId: textOf(headers['x-request-id']),
    traceparent: textOf(headers.traceparent),
    tracestate: textOf(headers.tracestate),
    contentType: textOf(headers['content-type']),
  });
  call.connection = incoming.connection;
  const { path, query } = splitTarget(incoming.target);
  const body = receiveBody(incoming, call, path, deps);
  const gone = new LateSignal();
  const sending = new Sending(incoming, deps, () => gone.abort(callerGone));
  let isCrowdedOut = false;
  admission.begin(call, () => {
    const isRefused = body.refuse(new CallsInFlightFull());
    // One that was admitted may be amid an answer, and would hold that for as long as its reader takes nothing.
    if (isRefused && call.room === undefined) return true;
    body.release();
    isCrowdedOut = true;
    sending.cutOff();
    return false;
  });
  let status = 0;
  try {
    const turn = deps.turns.take(incoming.connection);
    if (turn !== undefined) await turn;
    const response = isAuthority(incoming.authority)
      ? await deps.dispatch(
          new ReceivedRequest({
            httpVersion: incoming.httpVersion,
            method: incoming.method,
            path,
            query,
            header: deps.toHeaders(headers),
            body,
            call,
            gone,
          }),
        )
      : badAuthority(call.requestId);
    status = response.status;
    await sending.send(response, call.requestId, () => body.release());
  } catch (error) {
    call.cause ??= error;
    const stalled = error instanceof ReaderStalled;
    if (stalled) call.failure ??= readerStalledFailure;
    incoming.cutOff(stalled ? 'stalled' : 'failed');
  } finally {
    body.release();
    admission.end(call);
    // Whatever it ends with is a consequence.
    if (isCrowdedOut) call.failure = crowdedOut;
    deps.onEnd(call, path, status);
  }
}

/** gRPC and the streams of Connect put each message into an envelope of a flag and its length. */
const envelopeBytes = 5;

function receiveBody(
  incoming: Incoming,
  call: Call,
  path: string,
  { admission, bytesMaxOf, clientStreamLimitsOf, closing }: AnswerDeps,
): IncomingBody {
  const { source, headers } = incoming;
  const onFlood = () => incoming.cutOff('failed');
  const limits = clientStreamLimitsOf(path);
  if (limits !== undefined) {
    return new StreamedBody({ source, call, admission, limits, closing, onFlood });
  }
  const length = textOf(headers['content-length']);
  const isEnveloped = /^application\/(grpc|connect\+)/.test(textOf(headers['content-type']) ?? '');
  return new ReceivedBody({
    source,
    call,
    admission,
    bytesMax: bytesMaxOf(path),
    envelopeBytes: isEnveloped ? envelopeBytes : 0,
    contentLength: length === undefined ? undefined : Number(length),
    onFlood,
  });
}

/** A header that was sent once, or whose values Node has joined. */
function textOf(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined;
}
