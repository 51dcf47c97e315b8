import { createContextValues } from '@connectrpc/connect';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import type { StreamSource } from '../../stream-source.ts';
import { callerGone, callKey } from '../calls/call.ts';
import { recordFailure } from '../calls/request-gate.ts';
import { messageBytesMaxOf, responseBytesMax } from '../limits.ts';
import { createAnswerWriter } from '../rpc/answer-writer.ts';
import {
  createMethodSerializationLookup,
  encodeEnvelope,
  writeEnd,
} from '../rpc/connect-internals.ts';
import { strictJson } from '../rpc/strict-json.ts';
import { readTimeoutMs } from '../rpc/timeout-header.ts';
import {
  type ExchangeRequest,
  type ExchangeResponse,
  readWhole,
  unbuffered,
} from '../wire/exchange.ts';
import type { Inflation } from '../wire/inflation.ts';
import type { GuardedStream } from './open-streams.ts';
import { StreamBody } from './stream-body.ts';
import { findStreamForm, readMessage, type StreamForm } from './stream-request.ts';

export type AnswerStream = (
  handler: UniversalHandler,
  request: ExchangeRequest,
) => Promise<ExchangeResponse>;

/**
 * Answers a streaming RPC over gRPC, gRPC-Web and Connect, in the envelopes that the three have in common. Messages
 * are not compressed, since each is written once for all who follow the same log. How a stream ends, or why it is
 * refused, is written by Connect: `handler` is that of the RPC.
 */
export function createRpcStream(stream: GuardedStream, inflation: Inflation): AnswerStream {
  const { method, options = {} } = stream;
  const bytesMax = options.readMaxBytes ?? messageBytesMaxOf(method);
  const codecs = createMethodSerializationLookup(
    method,
    undefined,
    options.jsonOptions ?? strictJson,
    { readMaxBytes: bytesMax, writeMaxBytes: responseBytesMax },
  );
  const createEncoder = (isBinary: boolean) => {
    const write = createAnswerWriter(method.output, codecs, isBinary);
    return stream.createEncoder((answer) => encodeEnvelope(0, write(answer)));
  };
  const encodeBinary = createEncoder(true);
  const encodeJson = createEncoder(false);

  /** Receives and opens what is asked for; what its handler adds to `answer` is sent. */
  function open(form: StreamForm, request: ExchangeRequest, answer: Answer) {
    const { header, call } = request;
    const limits = { bytesMax, compressions: inflation.compressions };
    const { parse } = codecs.getI(form.isBinary);
    const asked = {
      values: createContextValues().set(callKey, call),
      requestHeader: header,
      responseHeader: answer.header,
      responseTrailer: answer.trailer,
      timeoutMs: readTimeoutMs(header),
    };
    return stream.open(asked, () =>
      inflation.counting(request, async () => parse(await readMessage(form, request, limits))),
    );
  }

  return async (handler, request) => {
    const form = findStreamForm(request.header.get('content-type'));
    if (form === undefined) return { status: 415, header: new Headers() };
    const { contentType, isBinary, protocol } = form;
    const { call, signal } = request;
    const header = new Headers({ 'content-type': contentType });
    const trailer = new Headers();
    const end = (error: unknown) => writeEnd(handler, { contentType, call, error, trailer });
    let source: StreamSource<unknown>;
    try {
      source = await open(form, request, { header, trailer });
    } catch (error) {
      return { ...(await end(error)), header, unary: true };
    }
    // A stream goes on for days; the bytes of its request are needed no more.
    request.body.release();
    header.set(...unbuffered);
    const finish = async (error: unknown) => {
      if (error === callerGone) {
        recordFailure(call, error);
        return undefined;
      }
      const last = await end(error);
      last.trailer?.forEach((value, name) => {
        trailer.set(name, value);
      });
      return readWhole(last.body);
    };
    const encode = isBinary ? encodeBinary : encodeJson;
    const body = new StreamBody(source, signal, { encode, finish });
    const { given } = body;
    return { status: 200, header, body, given, ...(protocol.hasTrailer && { trailer }) };
  };
}

type Answer = Readonly<Record<'header' | 'trailer', Headers>>;
