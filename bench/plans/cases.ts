import type { EventLogStore } from '../../src/events/index.ts';
import { everyEvent } from '../../src/events/log/event-filter.ts';
import { type EventQuery, listEvents } from '../../src/events/log/event-list.ts';
import { beganAt, everyMs, longSubject, rareType, subjectOf, workspaceId } from './fill.ts';

/** What is asked of a log, as the service asks it. */
export interface Case {
  readonly name: string;
  readonly ask: (log: EventLogStore) => Promise<unknown>;
}

const eventsOfMinute = 60_000 / everyMs;

/** What is asked of a log of `last` events. */
export function casesOf(last: number): Case[] {
  const middle = Math.floor(last / 2);
  const minute = {
    createdAfter: timeOf(middle),
    createdBefore: timeOf(middle + eventsOfMinute),
  };
  const ofTypes = (...typePatterns: string[]) => ({ filter: { ...everyEvent, typePatterns } });
  const about = (subject: string, ...typePatterns: string[]) => ({
    filter: { subject, typePatterns },
  });
  const fromMiddle = { afterSequence: middle };
  const desc = { direction: 'desc' } as const;
  const toMiddle = { ...desc, createdBefore: timeOf(middle) };
  return [
    { name: 'the last sequence', ask: (log) => log.readLogEnds([workspaceId]) },
    { name: 'the newest 10, as a feed reads', ask: (log) => log.read(newest(last, 10)) },
    page('first page', {}),
    page('middle page', fromMiddle),
    page('first page, descending', desc),
    page('middle page, descending, by time', toMiddle),
    page('a rare type', ofTypes(rareType)),
    page('a rare type, descending', { ...ofTypes(rareType), ...desc }),
    page('a type that is not there', ofTypes('none')),
    page('a frequent type, from the middle', { ...ofTypes('f00.00'), ...fromMiddle }),
    page('a prefix, f00.* (10 types), from the middle', { ...ofTypes('f00.*'), ...fromMiddle }),
    page('30 types (f00.*, f01.*, f02.*), from the middle', {
      ...ofTypes('f00.*', 'f01.*', 'f02.*'),
      ...fromMiddle,
    }),
    page('30 types, descending', { ...ofTypes('f00.*', 'f01.*', 'f02.*'), ...desc }),
    page('more than 32 types, f* (all), from the middle', { ...ofTypes('f*'), ...fromMiddle }),
    page('more than 32 types, f1* (one in eight), from the middle', {
      ...ofTypes('f1*'),
      ...fromMiddle,
    }),
    page('more than 32 types, f1*, descending', { ...ofTypes('f1*'), ...desc }),
    page('a minute in the middle', minute),
    page('a rare type in a minute in the middle', { ...ofTypes(rareType), ...minute }),
    page('a subject of 10 events', about(subjectOf(middle + 1))),
    page('a subject that nothing is about', about('none')),
    page('a subject of one event in ten, from the middle', {
      ...about(longSubject),
      ...fromMiddle,
    }),
    page('a rare type of such a subject', { ...about(longSubject, rareType), ...fromMiddle }),
    page('30 types of such a subject, descending', {
      ...about(longSubject, 'f00.*', 'f01.*', 'f02.*'),
      ...desc,
    }),
    page('a subject in a minute in the middle', { ...about(longSubject), ...minute }),
  ];
}

function page(name: string, query: Partial<EventQuery>): Case {
  const whole: EventQuery = {
    workspaceId,
    filter: everyEvent,
    createdAfter: undefined,
    createdBefore: undefined,
    afterSequence: 0,
    direction: 'asc',
    pageSize: 500,
    pageToken: '',
    ...query,
  };
  return { name, ask: (log) => listEvents(log, whole) };
}

function newest(last: number, count: number) {
  const range = { workspaceId, low: last - count, high: Number.MAX_SAFE_INTEGER };
  return { ...range, direction: 'asc', limit: 500 } as const;
}

function timeOf(sequence: number): Date {
  return new Date(beganAt.getTime() + sequence * everyMs);
}
