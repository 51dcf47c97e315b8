import { toJson } from '@bufbuild/protobuf';
import { ConnectError, createContextValues } from '@connectrpc/connect';
import {
  createMethodUrl,
  transformSplitEnvelope,
  type UniversalHandler,
  type UniversalServerResponse,
} from '@connectrpc/connect/protocol';
import { endStreamFromJson } from '@connectrpc/connect/protocol-connect';
import { EventSchema } from '../../../gen/typescript/harbor/events/v1/event_pb.ts';
import {
  EventsService,
  type SubscribeEventsResponse,
} from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createStreamEncoder, openedStreamKey } from '../../events/index.ts';
import { callKey } from '../call.ts';
import type { ExchangeRequest, ExchangeResponse } from '../exchange.ts';
import { responseBytesMax } from '../limits.ts';
import { methodNotAllowed, notFound } from '../plain-answers.ts';
import { InvalidField } from '../request-errors.ts';
import { recordFailure } from '../request-gate.ts';
import { StreamBody } from '../stream-body.ts';
import { toProblem } from './problem.ts';
import { readQuery, readTypes, readWholeNumber } from './query.ts';
import { envelopedBody } from './request-json.ts';
import { toRestEvent } from './rest-routes.ts';

export const eventStreamPath = '/v1/events/stream';

const parameters = ['workspace_id', 'types', 'after_sequence', 'access_token'] as const;
const protoJson = { useProtoFieldName: true, alwaysEmitImplicit: true };

/**
 * `GET /v1/events/stream`: SubscribeEvents as Server-Sent Events. The id of each message is the sequence
 * to resume from; a client that reconnects sends it as `Last-Event-ID`.
 */
export function createEventStream(handlers: ReadonlyMap<string, UniversalHandler>) {
  const handler = handlers.get(createMethodUrl('/', EventsService.method.subscribeEvents));
  const encode = createStreamEncoder((message) => Buffer.from(toServerSentEvent(message)));

  return async (request: ExchangeRequest): Promise<ExchangeResponse> => {
    if (handler === undefined) return notFound(request);
    if (request.method !== 'GET') return methodNotAllowed(request, ['GET']);
    const { call, signal } = request;
    const contextValues = createContextValues().set(callKey, call);
    const response = await handler({
      httpVersion: request.httpVersion,
      method: 'POST',
      url: request.url,
      header: toHeader(request),
      body: envelopedBody(() => JSON.stringify(toSubscription(request))),
      signal,
      contextValues,
    });
    const opened = contextValues.get(openedStreamKey);
    if (opened === undefined) return toProblem(await readRefusal(response), call.requestId);
    const finish = async (error: unknown) =>
      Buffer.from(toLastEvent(recordFailure(call, error), call.requestId));
    return {
      status: 200,
      header: new Headers({
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        // Told to proxies that would wait until a buffer is full.
        'x-accel-buffering': 'no',
      }),
      body: new StreamBody(opened, signal, { encode, finish }),
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

function toServerSentEvent({ message, sequence }: SubscribeEventsResponse): string {
  switch (message.case) {
    case 'event': {
      const event = toJson(EventSchema, message.value, protoJson);
      return `id: ${sequence}\ndata: ${JSON.stringify(toRestEvent(event))}\n\n`;
    }
    case 'caughtUp':
      return `id: ${sequence}\nevent: caught_up\ndata: {"sequence":${sequence}}\n\n`;
    default:
      return `id: ${sequence}\n: heartbeat\n\n`;
  }
}

/** Why the stream ends; a client of EventSource reconnects by itself. */
function toLastEvent(error: ConnectError, requestId: string): string {
  const { body } = toProblem(error, requestId);
  return `event: problem\ndata: ${body}\n\n`;
}

/** A stream that was not opened is one envelope: its end, with the error. */
async function readRefusal({ body }: UniversalServerResponse): Promise<ConnectError> {
  for await (const { data } of transformSplitEnvelope(responseBytesMax)(body ?? nothing())) {
    const { error } = endStreamFromJson(data);
    if (error !== undefined) return error;
  }
  return new ConnectError('the stream was not opened');
}

async function* nothing(): AsyncIterable<Uint8Array> {
  // A handler that refuses the protocol answers without a body.
}
