import {
  create,
  type DescMessage,
  type DescMethod,
  type JsonObject,
  type Message,
  type MessageInitShape,
  toJson,
} from '@bufbuild/protobuf';
import type { ContextValues } from '@connectrpc/connect';
import { findJsonTexts, type JsonText, restJson as writtenByRest } from '../../json-texts.ts';
import { recordFailure } from '../calls/request-gate.ts';
import { jsonText } from '../errors/plain-answers.ts';
import { messageBytesMaxOf, responseBytesMax } from '../limits.ts';
import { toAnswerBytes } from '../rpc/answer-writer.ts';
import { createMethodSerializationLookup } from '../rpc/connect-internals.ts';
import type { GuardedUnary } from '../unary/guarded-unary.ts';
import { UnaryContext } from '../unary/unary-context.ts';
import { type ExchangeRequest, type ExchangeResponse, readWhole } from '../wire/exchange.ts';
import { toAnswerJson } from './answer-json.ts';
import { completeBy } from './given-fields.ts';
import { toProblem } from './problem.ts';
import { inWordsOf } from './query.ts';
import { restJson } from './rest-json.ts';
import { mannerOf } from './rest-manners.ts';
import { givenFields, readBody, requestBody } from './rest-request.ts';
import type { RestRoute } from './rest-routes.ts';

/** The call of a route. */
export interface RestCall {
  readonly route: RestRoute;
  readonly request: ExchangeRequest;
  readonly values: ContextValues;
  /** Undefined: it may take as long as it likes. */
  readonly timeoutMs: number | undefined;
}

/** Answers a unary RPC by REST beside Connect, in the steps of any call. */
export function createRestUnary(
  unary: GuardedUnary,
): (call: RestCall) => Promise<ExchangeResponse> {
  const { method } = unary;
  const { parse } = createMethodSerializationLookup(method, undefined, restJson, {
    readMaxBytes: messageBytesMaxOf(method),
    writeMaxBytes: responseBytesMax,
  }).getI(false);

  async function read(route: RestRoute, request: ExchangeRequest): Promise<Message> {
    const body = route.hasBody ? readBody(request) : readWhole(requestBody(route, request));
    const message = parse((await body) ?? new Uint8Array());
    if (route.hasBody) completeBy(message, givenFields(route, request));
    return message;
  }

  return async ({ route, request, values, timeoutMs }) => {
    const { call, query } = request;
    const protocolName = 'connect';
    const context = new UnaryContext(request, { method, protocolName, values, timeoutMs });
    try {
      const answer = await unary.call(context, () => read(route, request));
      return write(route, answer, context);
    } catch (error) {
      return toProblem(recordFailure(call, error), call.requestId, inWordsOf(route, query));
    } finally {
      context.close();
    }
  };
}

function write(
  route: RestRoute,
  answer: MessageInitShape<DescMessage>,
  { added }: UnaryContext,
): ExchangeResponse {
  const { text, told } = writeText(route, answer);
  const manner = mannerOf(route.rpc);
  const caching = added.header?.get('cache-control');
  return jsonText(manner.statusOf(told), toAnswerBytes(text), {
    ...manner.headersOf(told),
    ...(caching && { 'cache-control': caching }),
  });
}

/** The answer, and what its headers are told from. */
function writeText(
  route: RestRoute,
  answer: MessageInitShape<DescMessage>,
): { readonly text: JsonText; readonly told: object } {
  const texts = findJsonTexts(answer);
  if (texts !== undefined) return { text: texts[writtenByRest](), told: answer };
  const { output }: DescMethod = route.rpc;
  const json = toJson(output, create(output, answer), restJson) as JsonObject;
  return { text: JSON.stringify(toAnswerJson(route, json)), told: json };
}
