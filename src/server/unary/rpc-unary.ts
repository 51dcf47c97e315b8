import type { Message } from '@bufbuild/protobuf';
import { type ContextValues, createContextValues } from '@connectrpc/connect';
import type { Compression, UniversalHandler } from '@connectrpc/connect/protocol';
import { callKey } from '../calls/call.ts';
import { gatePassedKey } from '../calls/request-gate.ts';
import { messageBytesMaxOf, responseBytesMax } from '../limits.ts';
import { createAnswerWriter } from '../rpc/answer-writer.ts';
import {
  compressionNegotiate,
  createMethodSerializationLookup,
  writeEnd,
} from '../rpc/connect-internals.ts';
import { strictJson } from '../rpc/strict-json.ts';
import { readTimeoutMs } from '../rpc/timeout-header.ts';
import type { ExchangeRequest, ExchangeResponse } from '../wire/exchange.ts';
import type { GuardedUnary } from './guarded-unary.ts';
import { writeUnaryAnswer } from './unary-answer.ts';
import { UnaryContext } from './unary-context.ts';
import { findUnaryForm, type UnaryForm } from './unary-form.ts';

/** What of a call was done before it is given to Connect. */
export interface Begun {
  /** Its body, which was received. */
  readonly body: AsyncIterable<Uint8Array>;
  readonly values: ContextValues;
}

export type AnswerByConnect = (
  handler: UniversalHandler,
  request: ExchangeRequest,
  begun?: Partial<Begun>,
) => Promise<ExchangeResponse>;

/**
 * Answers the usual call of a unary RPC over gRPC, gRPC-Web and Connect: a POST, one message, not compressed, in an
 * envelope where the protocol has one. Any other is answered by Connect; and so is every call that fails, since how it is
 * refused is written by Connect: `handler` is that of the RPC.
 */
export function createRpcUnary(
  unary: GuardedUnary,
  compressions: readonly Compression[],
  answerByConnect: AnswerByConnect,
): AnswerByConnect {
  const { method, options } = unary;
  const codecs = createMethodSerializationLookup(
    method,
    options.binaryOptions,
    options.jsonOptions ?? strictJson,
    {
      readMaxBytes: options.readMaxBytes ?? messageBytesMaxOf(method),
      writeMaxBytes: responseBytesMax,
    },
  );
  const available = [...compressions];
  const writeBinary = createAnswerWriter(method.output, codecs, true);
  const writeJson = createAnswerWriter(method.output, codecs, false);

  async function run(form: UnaryForm, request: ExchangeRequest, context: UnaryContext) {
    const { protocol, isBinary } = form;
    const { parse } = codecs.getI(isBinary);
    const { acceptEncodingHeader } = protocol;
    const accepted = request.header.get(acceptEncodingHeader);
    const read =
      protocol.name === 'connect'
        ? (body: Uint8Array) => parse(body)
        : (body: Uint8Array) => parse(openEnvelope(body));
    const output = await unary.call(context, () => receive(request, read));
    const bytes = isBinary ? writeBinary(output) : writeJson(output);
    const compression =
      accepted === null
        ? null
        : compressionNegotiate(available, null, accepted, acceptEncodingHeader).response;
    return writeUnaryAnswer({ form, bytes, added: context.added, compression });
  }

  return async (handler, request) => {
    const form = findUnaryForm(request);
    if (form === undefined) return answerByConnect(handler, request);
    const { call, header } = request;
    const values = createContextValues().set(callKey, call);
    let context: UnaryContext | undefined;
    try {
      const timeoutMs = readTimeoutMs(header);
      const protocolName = form.protocol.name;
      context = new UnaryContext(request, { method, protocolName, values, timeoutMs });
      return await run(form, request, context);
    } catch (error) {
      if (error instanceof UnusualBody) {
        const body = only(error.bytes);
        return answerByConnect(handler, request, { body, values: values.set(gatePassedKey, true) });
      }
      const { contentType } = form;
      const of = context && { requestHeader: header, ...context.added };
      const end = { contentType, call, error, ...of };
      const response = await writeEnd(handler, end);
      return { ...response, header: response.header ?? new Headers(), unary: true };
    } finally {
      context?.close();
    }
  };
}

function receive(
  { body }: ExchangeRequest,
  read: (body: Uint8Array) => Message,
): Message | Promise<Message> {
  const received = body.receive();
  return received instanceof Promise ? received.then(read) : read(received);
}

/** A body that is not one message in its envelope, without flags: what is wrong with it is Connect's to say. */
class UnusualBody extends Error {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super('the body is not one plain message');
    this.bytes = bytes;
  }
}

const envelopeBytes = 5;

function openEnvelope(body: Uint8Array): Uint8Array {
  if (body.byteLength < envelopeBytes || body[0] !== 0) throw new UnusualBody(body);
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  if (view.getUint32(1) !== body.byteLength - envelopeBytes) throw new UnusualBody(body);
  return body.subarray(envelopeBytes);
}

async function* only(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
