import { create, fromJson, type MessageInitShape } from '@bufbuild/protobuf';
import { createContextValues } from '@connectrpc/connect';
import {
  type CaughtUp,
  type SubscribeEventsRequest,
  SubscribeEventsRequestSchema,
  SubscribeEventsResponseSchema,
} from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { LogSetBack, SequenceExpired } from '../../events/index.ts';
import { findJsonTexts, restJson, wholeText } from '../../json-texts.ts';
import { callKey } from '../calls/call.ts';
import { recordFailure } from '../calls/request-gate.ts';
import { InvalidField } from '../errors/request-errors.ts';
import type { GuardedStream } from '../streams/open-streams.ts';
import { StreamBody } from '../streams/stream-body.ts';
import { type ExchangeRequest, type ExchangeResponse, unbuffered } from '../wire/exchange.ts';
import { readParameters } from '../wire/parameters.ts';
import { toProblem } from './problem.ts';
import { inWordsOf } from './query.ts';
import { addRateLimits } from './rate-limit-headers.ts';
import { readRequest } from './rest-request.ts';
import type { RestRoute } from './rest-routes.ts';

/** Of the query, beside the fields of the request. */
const tokenName = 'access_token';

/**
 * `GET /v1/events/stream`: SubscribeEvents as Server-Sent Events. The id of each message is the sequence
 * to resume from; a client that reconnects sends it as `Last-Event-ID`.
 */
export function createEventStream(
  stream: GuardedStream<typeof SubscribeEventsRequestSchema, typeof SubscribeEventsResponseSchema>,
) {
  // Not Buffer.from, which would keep 64 KB of a shared slab for as long as the feed keeps a small event.
  const text = new TextEncoder();
  const encode = stream.createEncoder((message) => text.encode(toServerSentEvent(message)));

  return async (route: RestRoute, request: ExchangeRequest): Promise<ExchangeResponse> => {
    const { call, signal } = request;
    const header = new Headers({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      [unbuffered[0]]: unbuffered[1],
    });
    const values = createContextValues().set(callKey, call);
    const refuse = (error: unknown) =>
      toProblem(recordFailure(call, error), call.requestId, inWordsOf(route, request.query));
    try {
      const asked = {
        values,
        requestHeader: toHeader(request),
        responseHeader: header,
        responseTrailer: new Headers(),
        timeoutMs: undefined,
      };
      const source = await stream.open(asked, () => toSubscription(route, request));
      const finish = async (error: unknown) => {
        const told = toLastEvent(refuse(error));
        return Buffer.from(error instanceof LogSetBack ? forgetLastId + told : told);
      };
      const body = new StreamBody(source, signal, { encode, finish });
      // What is wrong from the start has a status of its own.
      await body.start();
      return { status: 200, header, body, given: body.given };
    } catch (error) {
      const refusal = refuse(error);
      addRateLimits(refusal.header, values);
      const isTold = error instanceof SequenceExpired && isEventSource(request);
      return isTold ? { status: 200, header, body: toLastEvent(refusal) } : refusal;
    }
  };
}

/**
 * An EventSource shows its page neither status nor body of an answer that is no stream. One that was away for longer
 * than retention keeps would only stop, or come again and again, and nobody knew why.
 */
function isEventSource({ header }: ExchangeRequest): boolean {
  return header.get('accept') === 'text/event-stream';
}

function toHeader(request: ExchangeRequest): Headers {
  const header = new Headers(request.header);
  // EventSource cannot send headers.
  const [, token] = readParameters(request.query).find(([name]) => name === tokenName) ?? [];
  if (token !== undefined && !header.has('authorization')) {
    header.set('authorization', `Bearer ${token.replace(/[^\x21-\x7e]/g, '?')}`);
  }
  return header;
}

function toSubscription(route: RestRoute, request: ExchangeRequest): SubscribeEventsRequest {
  const fields = readRequest(route, request, [tokenName]);
  const lastEventId = request.header.get('last-event-id');
  if (lastEventId === null) return fromJson(SubscribeEventsRequestSchema, fields);
  if (!/^\d{1,16}$/.test(lastEventId) || !Number.isSafeInteger(Number(lastEventId))) {
    throw new InvalidField('Last-Event-ID', 'must be the id of a message of this stream');
  }
  return fromJson(SubscribeEventsRequestSchema, { ...fields, after_sequence: lastEventId });
}

function toServerSentEvent(answer: MessageInitShape<typeof SubscribeEventsResponseSchema>): string {
  const texts = findJsonTexts(answer);
  if (texts !== undefined) {
    return `id: ${answer.sequence}\ndata: ${wholeText(texts[restJson]())}\n\n`;
  }
  const { message, sequence } = create(SubscribeEventsResponseSchema, answer);
  switch (message.case) {
    case 'event':
      throw new Error('an event of a stream does not say how it is written as JSON');
    case 'caughtUp':
      return `id: ${sequence}\nevent: caught_up\ndata: ${toCaughtUp(sequence, message.value)}\n\n`;
    default:
      return `id: ${sequence}\n: heartbeat\n\n`;
  }
}

function toCaughtUp(sequence: bigint, { firstSequence }: CaughtUp): string {
  return `{"sequence":${sequence},"first_sequence":${firstSequence}}`;
}

/** An EventSource that reconnects would go on from a number that now is another event's. */
const forgetLastId = 'id:\n';

/** Why the stream ends; a client of EventSource reconnects by itself. */
function toLastEvent({ body }: ExchangeResponse): string {
  return `event: problem\ndata: ${body}\n\n`;
}
