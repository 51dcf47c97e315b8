import type { DescMethod } from '@bufbuild/protobuf';
import { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { ExchangeRequest } from '../wire/exchange.ts';
import { readOrder, readQuery, readTime, readTypePatterns, readWholeNumber } from './query.ts';

/** A path of the REST face, and the RPC that it is. */
export interface RestRoute {
  readonly method: 'GET' | 'POST';
  /** Matches the whole path; its named groups are fields of the request. */
  readonly path: RegExp;
  readonly rpc: DescMethod;
  /** The request as JSON, for a route whose request is not the body itself. */
  readonly toRequest?: (path: Record<string, string>, request: ExchangeRequest) => unknown;
  /** Status, body and headers, from the RPC's response as JSON. */
  readonly toAnswer: (response: RpcJson) => RestAnswer;
}

export interface RestAnswer {
  readonly status: number;
  readonly value: unknown;
  readonly headers?: Record<string, string>;
}

/** A response of an RPC in ProtoJSON with the contract's field names. */
// biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes, each known to its route
type RpcJson = any;

const listParameters = [
  'workspace_id',
  'type_patterns',
  'types',
  'created_after',
  'created_before',
  'after_sequence',
  'order',
  'page_size',
  'page_token',
] as const;

export const restRoutes: readonly RestRoute[] = [
  {
    method: 'POST',
    path: /^\/v1\/events$/,
    rpc: EventsService.method.createEvent,
    toAnswer: ({ event, replayed }) => ({
      status: 201,
      value: toRestEvent(event),
      headers: {
        location: `/v1/events/${event.id}`,
        ...(replayed && { 'idempotent-replayed': 'true' }),
      },
    }),
  },
  {
    method: 'GET',
    path: /^\/v1\/events$/,
    rpc: EventsService.method.listEvents,
    toRequest: (_path, { query }) => {
      const parameters = readQuery(query, listParameters);
      return {
        workspace_id: parameters.workspace_id,
        type_patterns: readTypePatterns(parameters),
        created_after: readTime('created_after', parameters.created_after),
        created_before: readTime('created_before', parameters.created_before),
        after_sequence: readWholeNumber('after_sequence', parameters.after_sequence),
        order: readOrder(parameters.order),
        page_size: readWholeNumber('page_size', parameters.page_size),
        page_token: parameters.page_token,
      };
    },
    toAnswer: ({ events, next_page_token }) => ({
      status: 200,
      value: { events: events.map(toRestEvent), next_page_token },
    }),
  },
  {
    method: 'GET',
    path: /^\/v1\/events\/(?<id>[^/]+)$/,
    rpc: EventsService.method.retrieveEvent,
    toRequest: ({ id }) => ({ id }),
    toAnswer: ({ event }) => ({ status: 200, value: toRestEvent(event) }),
  },
];

/** An event as the page shows it; ProtoJSON writes 64-bit numbers as text, JSON has numbers for them. */
export function toRestEvent(event: RpcJson): unknown {
  return {
    id: event.id,
    type: event.type,
    workspace_id: event.workspace_id,
    payload: event.payload,
    created_at: event.created_at,
    sequence: Number(event.sequence),
  };
}
