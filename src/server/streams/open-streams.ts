import type { DescMessage, DescMethodServerStreaming, MessageShape } from '@bufbuild/protobuf';
import type { Validator } from '@bufbuild/protovalidate';
import { Code, ConnectError, type ContextValues } from '@connectrpc/connect';
import type { StreamRoute } from '../../stream-route.ts';
import type { StreamSource } from '../../stream-source.ts';
import { callKey } from '../calls/call.ts';
import type { RequestGate } from '../calls/request-gate.ts';
import { createMessageCheck } from '../rpc/interceptors.ts';

/** The call that asks for a stream, as whoever writes the answer has read it. */
export interface StreamCall {
  readonly values: ContextValues;
  readonly requestHeader: Headers;
  /** Those of the answer: what a handler adds is sent. */
  readonly responseHeader: Headers;
  readonly responseTrailer: Headers;
  /** Undefined: it may go on for ever. */
  readonly timeoutMs: number | undefined;
}

/** A stream that is opened in the steps of any call: gate, body, validation, handler. */
export interface GuardedStream<
  I extends DescMessage = DescMessage,
  O extends DescMessage = DescMessage,
> extends Omit<StreamRoute<I, O>, 'open'> {
  /** @param read receives and parses the request, once the gate is passed. */
  open(
    call: StreamCall,
    read: () => MessageShape<I> | Promise<MessageShape<I>>,
  ): Promise<StreamSource<unknown>>;
}

/** The streams of every feature; the one way to open any of them. */
export interface Streams {
  readonly all: readonly GuardedStream[];
  /** Undefined: no feature brings it. */
  find<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
  ): GuardedStream<I, O> | undefined;
}

export function createStreams(
  routes: readonly StreamRoute[],
  gate: RequestGate,
  validator: Validator,
): Streams {
  const check = createMessageCheck(validator);

  const guard = (route: StreamRoute): GuardedStream => ({
    ...route,
    async open(call, read) {
      const { values, requestHeader, timeoutMs } = call;
      const { method } = route;
      const rest = timeLeft(timeoutMs);
      await gate.admit(method, requestHeader, values);
      const request = await read();
      const known = values.get(callKey);
      if (known !== undefined) known.isReceived = true;
      check(method.input, request);
      const source = await route.open(request, { ...call, timeoutMs: rest });
      endAtDeadline(source, rest());
      return source;
    },
  });

  const all = routes.map(guard);
  return {
    all,
    find: (method) => all.find((stream) => stream.method === method) as never,
  };
}

function timeLeft(timeoutMs: number | undefined): () => number | undefined {
  if (timeoutMs === undefined) return () => undefined;
  const endsAtMs = performance.now() + timeoutMs;
  return () => Math.max(0, endsAtMs - performance.now());
}

function endAtDeadline(source: StreamSource<unknown>, timeoutMs: number | undefined): void {
  if (timeoutMs === undefined) return;
  const timer = setTimeout(
    () => source.end(new ConnectError('the operation timed out', Code.DeadlineExceeded)),
    timeoutMs,
  );
  source.closing.defer(() => clearTimeout(timer));
}
