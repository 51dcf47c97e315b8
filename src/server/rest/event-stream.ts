import { type ConnectError, createContextValues } from '@connectrpc/connect';
import {
  createMethodUrl,
  transformSplitEnvelope,
  type UniversalHandler,
} from '@connectrpc/connect/protocol';
import { endStreamFlag, endStreamFromJson } from '@connectrpc/connect/protocol-connect';
import { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { callKey } from '../call.ts';
import type { ExchangeRequest, ExchangeResponse } from '../exchange.ts';
import { responseBytesMax } from '../limits.ts';
import { methodNotAllowed, notFound } from '../plain-answers.ts';
import { InvalidField } from '../request-errors.ts';
import { toProblem } from './problem.ts';
import { readQuery, readTypes, readWholeNumber } from './query.ts';
import { envelopedBody } from './request-json.ts';
import { toRestEvent } from './rest-routes.ts';

export const eventStreamPath = '/v1/events/stream';

const parameters = ['workspace_id', 'types', 'after_sequence', 'access_token'] as const;

interface Envelope {
  readonly flags: number;
  readonly data: Uint8Array;
}

/**
 * `GET /v1/events/stream`: SubscribeEvents as Server-Sent Events. The id of each message is the sequence
 * to resume from; a client that reconnects sends it as `Last-Event-ID`.
 */
export function createEventStream(handlers: ReadonlyMap<string, UniversalHandler>) {
  const handler = handlers.get(createMethodUrl('/', EventsService.method.subscribeEvents));

  return async (request: ExchangeRequest): Promise<ExchangeResponse> => {
    if (handler === undefined) return notFound(request);
    if (request.method !== 'GET') return methodNotAllowed(request, ['GET']);
    const response = await handler({
      httpVersion: request.httpVersion,
      method: 'POST',
      url: request.url,
      header: toHeader(request),
      body: envelopedBody(() => JSON.stringify(toSubscription(request))),
      signal: request.signal,
      contextValues: createContextValues().set(callKey, request.call),
    });
    const envelopes = transformSplitEnvelope(responseBytesMax)(response.body ?? nothing())[
      Symbol.asyncIterator
    ]();
    const first = await envelopes.next();
    const refusal = first.done === true ? undefined : findError(first.value);
    if (refusal !== undefined) return toProblem(refusal, request.call.requestId);
    return {
      status: 200,
      header: new Headers({
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        // Told to proxies that would wait until a buffer is full.
        'x-accel-buffering': 'no',
      }),
      body: toServerSentEvents(first, envelopes, request.call.requestId),
    };
  };
}

function toHeader(request: ExchangeRequest): Headers {
  const header = new Headers(request.header);
  header.set('content-type', 'application/connect+json');
  header.delete('connect-accept-encoding');
  // EventSource cannot send headers.
  const token = new URLSearchParams(request.query).get('access_token');
  if (token !== null && !header.has('authorization')) {
    header.set('authorization', `Bearer ${token.replace(/[^\x21-\x7e]/g, '?')}`);
  }
  return header;
}

function toSubscription(request: ExchangeRequest): unknown {
  const query = readQuery(request.query, parameters);
  const lastEventId = request.header.get('last-event-id') ?? undefined;
  if (lastEventId !== undefined && !/^\d{1,16}$/.test(lastEventId)) {
    throw new InvalidField('Last-Event-ID', 'must be the id of a message of this stream');
  }
  return {
    workspace_id: query.workspace_id,
    type_patterns: readTypes(query.types),
    after_sequence: lastEventId ?? readWholeNumber('after_sequence', query.after_sequence),
  };
}

async function* toServerSentEvents(
  first: IteratorResult<Envelope>,
  rest: AsyncIterator<Envelope>,
  requestId: string,
): AsyncIterable<Uint8Array> {
  try {
    for (let next = first; next.done !== true; next = await rest.next()) {
      const error = findError(next.value);
      const text =
        error === undefined ? toServerSentEvent(next.value) : toLastEvent(error, requestId);
      if (text !== '') yield Buffer.from(text);
    }
  } finally {
    await rest.return?.();
  }
}

function toServerSentEvent({ flags, data }: Envelope): string {
  if ((flags & endStreamFlag) === endStreamFlag) return '';
  const { event, caught_up, sequence } = JSON.parse(Buffer.from(data).toString('utf8'));
  if (event !== undefined) {
    return `id: ${sequence}\ndata: ${JSON.stringify(toRestEvent(event))}\n\n`;
  }
  if (caught_up !== undefined) {
    return `id: ${sequence}\nevent: caught_up\ndata: {"sequence":${sequence}}\n\n`;
  }
  return `id: ${sequence}\n: heartbeat\n\n`;
}

/** Why the stream ends; a client of EventSource reconnects by itself. */
function toLastEvent(error: ConnectError, requestId: string): string {
  const { body } = toProblem(error, requestId);
  return `event: problem\ndata: ${body}\n\n`;
}

function findError({ flags, data }: Envelope): ConnectError | undefined {
  return (flags & endStreamFlag) === endStreamFlag ? endStreamFromJson(data).error : undefined;
}

async function* nothing(): AsyncIterable<Uint8Array> {
  // A handler that refuses the protocol answers without a body.
}
