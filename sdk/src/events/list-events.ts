import type { Client } from '@connectrpc/connect';
import {
  EventOrder,
  type EventsService,
} from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { Caller } from '../caller.ts';
import { refuseUnknownFields } from '../known-names.ts';
import { type RequestOptions, requestOptionNames } from '../options.ts';
import type { PayloadKeys } from '../payload-keys.ts';
import { eventFromMessage, invalidResponse, toSafeInteger } from './from-message.ts';
import { EventList, type EventPage, type ListQuery, listQueryNames } from './list.ts';
import {
  parseDate,
  parseInteger,
  parseSequence,
  parseSubject,
  parseTypePatterns,
  refuseField,
  requireString,
} from './request-fields.ts';

/** What a list is fetched with. */
export interface ListDeps {
  readonly client: Pick<Client<typeof EventsService>, 'listEvents'>;
  readonly call: Caller;
  readonly payloadKeys: PayloadKeys;
}

/** The list; see Events.list. Sends nothing and throws nothing: all of that is the page's. */
export function listEvents<Payload extends object>(
  deps: ListDeps,
  query: ListQuery,
  options: RequestOptions,
): EventList<Payload> {
  return new EventList(() => fetchPage<Payload>(deps, query, options), options?.signal);
}

async function fetchPage<Payload extends object>(
  deps: ListDeps,
  query: ListQuery,
  options: RequestOptions,
): Promise<EventPage<Payload>> {
  const request = queryToMessage(query);
  const sent = { saysTypes: query.types !== undefined };
  const answer = await deps.call(
    (attempt) => deps.client.listEvents(request, attempt),
    options,
    sent,
  );
  const nextPageToken = answer.nextPageToken === '' ? undefined : answer.nextPageToken;
  if (nextPageToken !== undefined && nextPageToken === query.pageToken) {
    throw invalidResponse('names the same page as the next one, so that the list never ends');
  }
  return {
    events: answer.events.map((event) => eventFromMessage<Payload>(event, deps.payloadKeys)),
    nextPageToken,
    firstSequence: toSafeInteger(answer.firstSequence),
    nextPage: () =>
      nextPageToken === undefined
        ? undefined
        : listEvents(deps, { ...query, pageToken: nextPageToken }, options),
  };
}

function queryToMessage(query: ListQuery) {
  refuseUnknownFields(query, listQueryNames, requestOptionNames);
  return {
    workspaceId: requireString('workspaceId', query.workspaceId),
    typePatterns: parseTypePatterns(query),
    subject: parseSubject(query.subject) ?? '',
    ...parseDate('createdAfter', query.createdAfter),
    ...parseDate('createdBefore', query.createdBefore),
    afterSequence: BigInt(parseSequence('afterSequence', query.afterSequence) ?? 0),
    order: parseOrder(query.order),
    pageSize: parseInteger('pageSize', query.pageSize, { min: 1, max: 500 }) ?? 0,
    pageToken: query.pageToken === undefined ? '' : requireString('pageToken', query.pageToken),
  };
}

function parseOrder(order: unknown): EventOrder {
  if (order === undefined) return EventOrder.UNSPECIFIED;
  if (order === 'asc') return EventOrder.ASCENDING;
  if (order === 'desc') return EventOrder.DESCENDING;
  throw refuseField('order', "must be 'asc' or 'desc'.");
}
