import { prepareEvent } from '../../src/events/event.ts';
import { everyEvent } from '../../src/events/log/event-filter.ts';
import { type EventQuery, listEvents } from '../../src/events/log/event-list.ts';
import { type FilledLog, longSubject, subjectOf } from '../filled/filled-log.ts';
import { pageQuery, type Stores, thirtyTypes } from '../plans/cases.ts';

/** Something that the service does over and over, each time somewhere else. */
export interface Operation {
  readonly name: string;
  /** How often it is done to be measured once. */
  readonly times: number;
  /** What one is divided by: the events of a batch. */
  readonly parts: number;
  /** @param share of the log, 0 to 1: where to do it. */
  readonly perform: (stores: Stores, share: number) => Promise<unknown>;
}

const pages = 50;
const batchEvents = 200;
const timeSpan = 6_000;
const limits = { lockMsMax: 1_000, timeoutMs: 10_000 };

/** @param ids of events that are there, of all times. */
export function operationsOn(filled: FilledLog, ids: readonly string[]): Operation[] {
  const { last, timeOf } = filled;
  const placeOf = (share: number) => Math.floor(share * (last - timeSpan));
  const page = (name: string, queryAt: (place: number) => Partial<EventQuery>): Operation => ({
    name,
    times: pages,
    parts: 1,
    perform: ({ log }, share) => listEvents(log, pageQuery(filled, queryAt(placeOf(share)))),
  });
  const ofTypes = (...typePatterns: string[]) => ({ filter: { ...everyEvent, typePatterns } });
  return [
    page('first page', () => ({})),
    page('page anywhere', (place) => ({ afterSequence: place })),
    page('page of a type', (place) => ({ ...ofTypes('f00.03'), afterSequence: place })),
    page('page of 30 types', (place) => ({ ...ofTypes(...thirtyTypes), afterSequence: place })),
    page('page of a subject of 10 events', (place) => ({
      filter: { subject: subjectOf(place - (place % 10) + 1), typePatterns: [] },
    })),
    page('page of a subject of one event in ten', (place) => ({
      filter: { subject: longSubject, typePatterns: [] },
      afterSequence: place,
    })),
    page('page of 6,000 events by time', (place) => ({
      createdAfter: timeOf(place),
      createdBefore: timeOf(place + timeSpan),
    })),
    {
      name: 'retrieve',
      times: 700,
      parts: 1,
      perform: ({ events }, share) => {
        const id = ids[Math.floor(share * ids.length)] as string;
        return events.read([id], limits.timeoutMs);
      },
    },
    // Last, so that all others read the log as it was filled.
    appending(filled),
  ];
}

/** Batches over all 64 workspaces, an idempotency key an event; one event in so many is about something. */
export function appending(filled: FilledLog, subjectEvery = 1): Operation {
  return {
    name: 'append, an event of a batch of 200',
    times: pages,
    parts: batchEvents,
    perform: ({ events }, share) => {
      const batch = newBatch(filled, share, subjectEvery);
      return events.append(batch, [...batch.keys()], limits);
    },
  };
}

let batches = 0;

/** Of the 64 workspaces by turns, each with a key of its own, in the order of an append. */
function newBatch({ workspaceId }: FilledLog, share: number, subjectEvery: number) {
  batches++;
  const events = Array.from({ length: batchEvents }, (_, index) => ({
    workspaceId: index % 2 === 0 ? workspaceId : `ws_other${(index >> 1) % 63}`,
    type: `f0${index % 3}.0${Math.floor(share * 1_000 + index) % 10}`,
    subject: index % subjectEvery === 0 ? `inv_${Math.floor(share * 1e9) + index}` : undefined,
    payload: { invoice_id: `inv_${index}`, amount_cents: index, currency: 'EUR' },
    idempotencyKey: `${batches}-${index}`,
  }));
  const byWorkspaceAndKey = (event: (typeof events)[number]) =>
    Buffer.from(`${event.workspaceId} ${event.idempotencyKey}`);
  return events
    .toSorted((a, b) => Buffer.compare(byWorkspaceAndKey(a), byWorkspaceAndKey(b)))
    .map(prepareEvent);
}
