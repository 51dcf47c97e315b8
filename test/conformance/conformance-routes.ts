import { setTimeout as delay } from 'node:timers/promises';
import { create, type Message } from '@bufbuild/protobuf';
import { type Any, anyPack } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from '@connectrpc/connect';
import { ErrorInfoSchema } from '../../gen/typescript/google/rpc/error_details_pb.ts';
import { type RequestGate, toConnectGate } from '../../src/server/calls/request-gate.ts';
import { strictJson } from '../../src/server/rpc/strict-json.ts';
import type { StreamContext, StreamRoute } from '../../src/stream-route.ts';
import type { StreamSource } from '../../src/stream-source.ts';
import {
  ConformanceService,
  type Header,
  messageSchema,
  registry,
  type WantedError,
  type WantedStream,
  type WantedUnary,
} from './suite-schema.ts';

/**
 * The suite counts the details of errors: the one that every error of ours carries is taken off again, at
 * the last place that errors pass. What else the gate makes of an error stays.
 */
function withoutErrorInfo(gate: ConnectGate): ConnectGate {
  return (context) => {
    const controller = context as HandlerContext & { abort(reason?: unknown): void };
    const { abort } = controller;
    controller.abort = (reason) => {
      abort(reason);
      if (!(reason instanceof ConnectError)) return;
      reason.details = reason.details.filter(
        (detail) => !('desc' in detail && detail.desc.typeName === ErrorInfoSchema.typeName),
      );
    };
    return gate(context);
  };
}

type ConnectGate = ReturnType<typeof toConnectGate>;

const requestInfo = messageSchema('ConformancePayload.RequestInfo');

type Request<Wanted> = Message & { readonly responseDefinition?: Wanted };

function codecOptions(messageBytesMax: number) {
  return {
    jsonOptions: { ...strictJson, registry },
    ...(messageBytesMax > 0 && { readMaxBytes: messageBytesMax }),
  };
}

/** ServerStream, which goes the way of our own streams, beside Connect. */
export function createConformanceStream(messageBytesMax: number): StreamRoute {
  const method = ConformanceService.method.serverStream as StreamRoute['method'];
  return {
    method,
    async open(request, context) {
      const answers = answerServerStream(request as Request<WantedStream>, context);
      return toSource(answers);
    },
    createEncoder: (write) => (answer) => write(create(method.output, answer)),
    options: codecOptions(messageBytesMax),
  };
}

function toSource<T>(messages: AsyncGenerator<T>): StreamSource<T> {
  const ended = new AbortController();
  const end = new Promise<never>((_, reject) => {
    ended.signal.addEventListener('abort', () => reject(ended.signal.reason));
  });
  end.catch(() => undefined);
  return {
    async next() {
      const { done, value } = await Promise.race([messages.next(), end]);
      return done === true ? [] : [value];
    },
    end: (reason) => ended.abort(reason),
    throwIfEnded: () => ended.signal.throwIfAborted(),
    closing: new DisposableStack(),
  };
}

/**
 * The suite's service: each request says what is to be answered, and the answer says what has arrived. It
 * is written against the rules in the suite's own `service.proto`.
 *
 * @param messageBytesMax the limit of messages that the suite wants to see kept; 0 is none.
 */
export function addConformanceService(
  router: ConnectRouter,
  gate: RequestGate,
  messageBytesMax: number,
): void {
  const options = {
    requestGate: withoutErrorInfo(toConnectGate(gate)),
    ...codecOptions(messageBytesMax),
  };
  router.service(
    ConformanceService,
    {
      unary: (request: Request<WantedUnary>, context: HandlerContext) =>
        answerUnary(request.responseDefinition, context, [pack('UnaryRequest', request)]),
      idempotentUnary: (request: Request<WantedUnary>, context: HandlerContext) =>
        answerUnary(request.responseDefinition, context, [pack('IdempotentUnaryRequest', request)]),
      clientStream: async (
        requests: AsyncIterable<Request<WantedUnary>>,
        context: HandlerContext,
      ) => {
        let wanted: WantedUnary | undefined;
        const received: Any[] = [];
        for await (const request of requests) {
          wanted ??= request.responseDefinition;
          received.push(pack('ClientStreamRequest', request));
        }
        return answerUnary(wanted, context, received);
      },
      bidiStream: answerBidiStream,
      unimplemented: () => {
        throw new ConnectError('not implemented', Code.Unimplemented);
      },
      // biome-ignore lint/suspicious/noExplicitAny: of a service that is not known before it runs
    } as any,
    options,
  );
}

async function answerUnary(
  wanted: WantedUnary | undefined,
  context: HandlerContext,
  received: readonly Any[],
) {
  const info = describeRequest(context, received);
  if (wanted === undefined) return { payload: { requestInfo: info } };
  addAll(context.responseHeader, wanted.responseHeaders);
  addAll(context.responseTrailer, wanted.responseTrailers);
  await delay(wanted.responseDelayMs);
  if (wanted.response.case === 'error') throw toError(wanted.response.value, info);
  const data = wanted.response.value ?? new Uint8Array();
  return { payload: { data, requestInfo: info } };
}

async function* answerServerStream(request: Request<WantedStream>, context: StreamContext) {
  const wanted = request.responseDefinition;
  if (wanted === undefined) return;
  addAll(context.responseHeader, wanted.responseHeaders);
  addAll(context.responseTrailer, wanted.responseTrailers);
  const received = [pack('ServerStreamRequest', request)];
  yield* answerStream(wanted, describeRequest(context, received));
}

/** In half duplex all is received first; in full duplex each request has its answer, until there is none left. */
async function* answerBidiStream(
  requests: AsyncIterable<Request<WantedStream> & { readonly fullDuplex: boolean }>,
  context: HandlerContext,
) {
  let first: (Request<WantedStream> & { readonly fullDuplex: boolean }) | undefined;
  let received: Any[] = [];
  const left: Uint8Array[] = [];
  for await (const request of requests) {
    received.push(pack('BidiStreamRequest', request));
    if (first === undefined) {
      first = request;
      addAll(context.responseHeader, request.responseDefinition?.responseHeaders ?? []);
      addAll(context.responseTrailer, request.responseDefinition?.responseTrailers ?? []);
      left.push(...(request.responseDefinition?.responseData ?? []));
    }
    if (!first.fullDuplex) continue;
    const data = left.shift();
    if (data === undefined) break;
    await delay(first.responseDefinition?.responseDelayMs);
    const info =
      request === first ? describeRequest(context, received) : { requests: [...received] };
    yield { payload: { data, requestInfo: info } };
    received = [];
  }
  const wanted = first?.responseDefinition;
  if (wanted === undefined) return;
  const isBegun = left.length < wanted.responseData.length;
  const info = isBegun ? undefined : describeRequest(context, received);
  yield* answerStream({ ...wanted, responseData: left }, info);
}

/** What has arrived is told by the first message, or by the error when there is none. */
async function* answerStream(wanted: WantedStream, info: Message | undefined) {
  for (const [index, data] of wanted.responseData.entries()) {
    await delay(wanted.responseDelayMs);
    yield { payload: { data, ...(index === 0 && info !== undefined && { requestInfo: info }) } };
  }
  if (wanted.error === undefined) return;
  throw toError(wanted.error, wanted.responseData.length === 0 ? info : undefined);
}

function toError(wanted: WantedError, info: Message | undefined): ConnectError {
  const error = new ConnectError(wanted.message ?? '', wanted.code as Code);
  for (const { typeUrl, value } of wanted.details) {
    error.details.push({ type: typeUrl.slice(typeUrl.lastIndexOf('/') + 1), value });
  }
  if (info !== undefined) error.details.push({ desc: requestInfo, value: info });
  return error;
}

function describeRequest(
  context: HandlerContext | StreamContext,
  received: readonly Any[],
): Message {
  const timeoutMs = context.timeoutMs();
  const isGet = 'requestMethod' in context && context.requestMethod === 'GET';
  const query = isGet ? [...new URL(context.url).searchParams] : [];
  return create(requestInfo, {
    requestHeaders: [...context.requestHeader].map(([name, value]) => ({
      name,
      value: value.split(', '),
    })),
    requests: received,
    ...(timeoutMs !== undefined && { timeoutMs: BigInt(Math.round(timeoutMs)) }),
    ...(isGet && {
      connectGetInfo: { queryParams: query.map(([name, value]) => ({ name, value: [value] })) },
    }),
  });
}

const pack = (name: string, request: Message): Any => anyPack(messageSchema(name), request);

function addAll(headers: Headers, wanted: readonly Header[]): void {
  for (const { name, value } of wanted) for (const one of value) headers.append(name, one);
}
