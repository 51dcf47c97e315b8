import type { EventLogStore, EventStore } from '../../src/events/index.ts';
import { everyEvent } from '../../src/events/log/event-filter.ts';
import { type EventQuery, listEvents } from '../../src/events/log/event-list.ts';
import { everyId, idsOfPartitions, partitionOf, uuidAt } from '../../src/events/log/id-range.ts';
import { type FilledLog, longSubject, rareType, subjectOf } from '../filled/filled-log.ts';

export interface Stores {
  readonly log: EventLogStore;
  readonly events: EventStore;
}

/** What is asked, as the service asks it. */
export interface Case {
  readonly name: string;
  readonly ask: (stores: Stores) => Promise<unknown>;
}

const pageSize = 500;
const timeSpan = 6_000;
const readTimeoutMs = 10_000;

export const thirtyTypes = ['f00.*', 'f01.*', 'f02.*'];

/** @param ids of events that are there, from all of the log. */
export function casesOf(filled: FilledLog, ids: readonly string[]): Case[] {
  const { last, timeOf } = filled;
  const middle = Math.floor(last / 2);
  const ofTypes = (...typePatterns: string[]) => ({ filter: { ...everyEvent, typePatterns } });
  const about = (subject: string, ...typePatterns: string[]) => ({
    filter: { subject, typePatterns },
  });
  const desc = { direction: 'desc' } as const;
  const fromMiddle = { afterSequence: middle };
  const betweenTimes = {
    createdAfter: timeOf(middle),
    createdBefore: timeOf(middle + timeSpan),
  };
  const page = (name: string, query: Partial<EventQuery> = {}): Case => ({
    name,
    ask: ({ log }) => listEvents(log, pageQuery(filled, query)),
  });
  return [
    retrieval('retrieve one event', ids.slice(0, 1)),
    retrieval('retrieve 64, of all times', ids.slice(0, 64)),
    { name: 'the ends of 64 logs', ask: ({ log }) => log.readLogEnds(allWorkspaces(filled)) },
    { name: 'the newest 10, as a feed reads', ask: ({ log }) => readNewest(log, filled, 10) },
    page('first page'),
    page('middle page', fromMiddle),
    page('first page, descending', desc),
    page('a page before a time, descending', { ...desc, createdBefore: timeOf(middle) }),
    page('6,000 events by time, in the middle', betweenTimes),
    page('a rare type', ofTypes(rareType)),
    page('a rare type, descending', { ...ofTypes(rareType), ...desc }),
    page('a type that is not there', ofTypes('none')),
    page('a frequent type, from the middle', { ...ofTypes('f00.00'), ...fromMiddle }),
    page('a prefix, f00.* (10 types), from the middle', { ...ofTypes('f00.*'), ...fromMiddle }),
    page('a prefix that nothing has', ofTypes('none.*')),
    page('30 types (f00.*, f01.*, f02.*), from the middle', {
      ...ofTypes(...thirtyTypes),
      ...fromMiddle,
    }),
    page('30 types, descending', { ...ofTypes(...thirtyTypes), ...desc }),
    page('30 types by time', { ...ofTypes(...thirtyTypes), ...betweenTimes }),
    page('more than 32 types, f* (all), from the middle', { ...ofTypes('f*'), ...fromMiddle }),
    page('more than 32 types, f1* (one in eight), from the middle', {
      ...ofTypes('f1*'),
      ...fromMiddle,
    }),
    page('more than 32 types, f1*, descending', { ...ofTypes('f1*'), ...desc }),
    page('a rare type by time', { ...ofTypes(rareType), ...betweenTimes }),
    page('a subject of 10 events', about(subjectOf(middle + 1))),
    page('a subject that nothing is about', about('none')),
    page('a subject of one event in ten, from the middle', {
      ...about(longSubject),
      ...fromMiddle,
    }),
    page('a rare type of such a subject', { ...about(longSubject, rareType), ...fromMiddle }),
    page('30 types of such a subject, descending', {
      ...about(longSubject, ...thirtyTypes),
      ...desc,
    }),
    page('such a subject by time', { ...about(longSubject), ...betweenTimes }),
  ];
}

/** A page of 500 of the larger workspace. */
export function pageQuery({ workspaceId }: FilledLog, query: Partial<EventQuery>): EventQuery {
  return {
    workspaceId,
    filter: everyEvent,
    createdAfter: undefined,
    createdBefore: undefined,
    afterSequence: 0,
    direction: 'asc',
    pageSize,
    pageToken: '',
    ...query,
  };
}

function retrieval(name: string, ids: readonly string[]): Case {
  return { name, ask: ({ events }) => events.read(ids, readTimeoutMs) };
}

async function readNewest(
  log: EventLogStore,
  { workspaceId, last, timeOf }: FilledLog,
  count: number,
) {
  const starts = await log.readPartitionStarts();
  const place = partitionOf(starts, uuidAt(timeOf(last - count)));
  const ids = starts.length < 4 ? everyId : idsOfPartitions(starts, place - 1, starts.length);
  return log.readNext({ workspaceId, afterSequence: last - count, limit: pageSize, ids });
}

function allWorkspaces({ workspaceId }: FilledLog): string[] {
  return [workspaceId, ...Array.from({ length: 63 }, (_, index) => `ws_other${index}`)];
}
