import { Code, ConnectError, createContextValues } from '@connectrpc/connect';
import {
  createMethodSerializationLookup,
  encodeEnvelope,
  transformSplitEnvelope,
  type UniversalHandler,
} from '@connectrpc/connect/protocol';
import { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createStreamEncoder, openedStreamKey, type Subscription } from '../../events/index.ts';
import { callerGone, callKey } from '../calls/call.ts';
import { writeEnd } from '../calls/ended-call.ts';
import { recordFailure } from '../calls/request-gate.ts';
import { CompressionUndeclared } from '../errors/request-errors.ts';
import { requestBytesMax, responseBytesMax } from '../limits.ts';
import { strictJson } from '../rpc/strict-json.ts';
import { checkTimeout } from '../rpc/timeout-header.ts';
import { type ExchangeRequest, type ExchangeResponse, unbuffered } from '../wire/exchange.ts';
import type { OpenCheckedStream } from './open-stream.ts';
import { StreamBody } from './stream-body.ts';

/**
 * Answers SubscribeEvents over gRPC, gRPC-Web and Connect. A request of the usual form is opened here, and
 * its messages are put into the envelopes that the three have in common; they are not compressed, since
 * each is written once for all who follow the same log. Whatever else there is in a protocol is Connect's:
 * it opens a stream whose request is compressed or has a timeout, and it writes how a stream ends.
 */
export function createRpcStreams(open: OpenCheckedStream) {
  const limits = { readMaxBytes: requestBytesMax, writeMaxBytes: responseBytesMax };
  const method = EventsService.method.subscribeEvents;
  const serialization = createMethodSerializationLookup(method, undefined, strictJson, limits);
  const createEncoder = (isBinary: boolean) =>
    createStreamEncoder((message) =>
      encodeEnvelope(0, serialization.getO(isBinary).serialize(message)),
    );
  const encodeBinary = createEncoder(true);
  const encodeJson = createEncoder(false);

  function goOn({ subscription, head, handler, request }: Opened): ExchangeResponse {
    const { status, header, trailer } = head;
    const { call, signal } = request;
    // A stream goes on for days; the bytes of its request are needed no more.
    request.body.release();
    header.set(...unbuffered);
    const contentType = header.get('content-type') ?? '';
    const encode = contentType.endsWith('json') ? encodeJson : encodeBinary;
    const finish = async (error: unknown) => {
      if (error === callerGone) {
        recordFailure(call, error);
        return new Uint8Array();
      }
      const end = await writeEnd(handler, contentType, call, error);
      end.trailer?.forEach((value, name) => {
        trailer?.set(name, value);
      });
      const chunks: Uint8Array[] = [];
      for await (const chunk of end.body ?? []) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    const body = new StreamBody(subscription, signal, { encode, finish });
    return { status, header, body, ...(trailer && { trailer }) };
  }

  async function openByConnect(
    handler: UniversalHandler,
    request: ExchangeRequest,
  ): Promise<ExchangeResponse> {
    try {
      checkTimeout(request.header);
    } catch (error) {
      return refuse(handler, request, error);
    }
    const contextValues = createContextValues().set(callKey, request.call);
    const response = await handler({ ...request, contextValues });
    const { header = new Headers() } = response;
    const head = { ...response, header };
    const subscription = contextValues.get(openedStreamKey);
    if (subscription === undefined) return { ...head, unary: true };
    header.delete('grpc-encoding');
    header.delete('connect-content-encoding');
    return goOn({ subscription, head, handler, request });
  }

  return async (handler: UniversalHandler, request: ExchangeRequest): Promise<ExchangeResponse> => {
    const form = findUsualForm(request.header);
    if (form === undefined) return openByConnect(handler, request);
    const { contentType, isBinary, hasTrailer, endFlag } = form;
    const values = createContextValues().set(callKey, request.call);
    try {
      const { parse } = serialization.getI(isBinary);
      const read = async () => parse(await readMessage(request.body, endFlag));
      const subscription = await open(request.header, values, read);
      const header = new Headers({ 'content-type': contentType });
      const trailer = hasTrailer ? { trailer: new Headers({ 'grpc-status': '0' }) } : {};
      const head = { status: 200, header, ...trailer };
      return goOn({ subscription, head, handler, request });
    } catch (error) {
      return refuse(handler, request, error);
    }
  };
}

async function refuse(
  handler: UniversalHandler,
  { header, call }: ExchangeRequest,
  error: unknown,
): Promise<ExchangeResponse> {
  const refusal = await writeEnd(handler, header.get('content-type') ?? '', call, error);
  return { ...refusal, header: refusal.header ?? new Headers(), unary: true };
}

interface Opened {
  readonly subscription: Subscription;
  /** Status, headers, and what trailers will be put into. */
  readonly head: ExchangeResponse;
  readonly handler: UniversalHandler;
  readonly request: ExchangeRequest;
}

interface UsualForm {
  /** That of the answer: written in full. */
  readonly contentType: string;
  readonly isBinary: boolean;
  /** gRPC tells in trailers how a call has ended, the others in the last envelope. */
  readonly hasTrailer: boolean;
  /** Marks an envelope that holds no message: what a client may send as its last. */
  readonly endFlag: number;
}

const endFlags = new Map([
  ['grpc', 0],
  ['grpc-web', 0b1000_0000],
  ['connect', 0b10],
]);
const compressedFlag = 0b1;
const encodings = ['grpc-encoding', 'connect-content-encoding'];
const timeouts = ['grpc-timeout', 'connect-timeout-ms'];

function findUsualForm(header: Headers): UsualForm | undefined {
  if (timeouts.some((name) => header.has(name))) return undefined;
  if (encodings.some((name) => (header.get(name) ?? 'identity') !== 'identity')) return undefined;
  const contentType = header.get('content-type') ?? '';
  const [, protocol, codec] =
    /^application\/(grpc|grpc-web|connect)(?:\+(proto|json))?$/.exec(contentType) ?? [];
  if (protocol === undefined || (protocol === 'connect' && codec === undefined)) return undefined;
  return {
    contentType: `application/${protocol}+${codec ?? 'proto'}`,
    isBinary: codec !== 'json',
    hasTrailer: protocol === 'grpc',
    endFlag: endFlags.get(protocol) ?? 0,
  };
}

/** The one message of a request. */
async function readMessage(body: AsyncIterable<Uint8Array>, endFlag: number): Promise<Uint8Array> {
  const messages: Uint8Array[] = [];
  for await (const { flags, data } of transformSplitEnvelope(requestBytesMax)(body)) {
    if ((flags & compressedFlag) !== 0) throw new CompressionUndeclared();
    if ((flags & endFlag) === 0) messages.push(data);
  }
  const [message, ...more] = messages;
  if (message === undefined || more.length > 0) {
    const text = `protocol error: expected one message, received ${messages.length}`;
    throw new ConnectError(text, Code.Unimplemented);
  }
  return message;
}
