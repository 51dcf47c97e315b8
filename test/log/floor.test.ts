import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventOrder } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { wires } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import { deleteBelowFloor, fillLog, moveFloor } from '../support/filled-log.ts';
import { createLogClient, type EventsClient } from '../support/log-wires.ts';
import { range, sequencesIn, subscribeTo } from '../support/subscriber.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;
let client: EventsClient;

beforeAll(async () => {
  service = await startTestService();
  client = createLogClient(service);
});
afterAll(() => service.stop());

let workspaces = 0;
/** A workspace with events of two types by turns, of which retention keeps those from a sequence on. */
async function newWorkspace(events: number, firstSequence: number): Promise<string> {
  const workspaceId = `ws_floor${++workspaces}`;
  await service.app.workspaces.create(workspaceId, '');
  await fillLog(
    service.database,
    workspaceId,
    range(1, events).map((index) => ({
      type: index % 2 ? 'odd' : 'even',
      createdAt: new Date(index * 1_000),
    })),
  );
  await moveFloor(service.database, workspaceId, firstSequence);
  return workspaceId;
}

const expired = (firstSequence: number) => ({
  code: 'OutOfRange',
  reason: 'SEQUENCE_EXPIRED',
  metadata: { first_sequence: `${firstSequence}` },
});
const list = async (query: Parameters<EventsClient['listEvents']>[0]) => {
  const page = await client.listEvents(query);
  return {
    sequences: page.events.map(({ sequence }) => Number(sequence)),
    first: Number(page.firstSequence),
    next: page.nextPageToken,
  };
};

describe.each(['rows below the floor are still there', 'rows below the floor are gone'])(
  '%s',
  (name) => {
    const prepare = async (events: number, firstSequence: number) => {
      const workspaceId = await newWorkspace(events, firstSequence);
      if (name.endsWith('gone')) await deleteBelowFloor(service.database, workspaceId);
      return workspaceId;
    };

    test('a list from 0 begins at the first event that is kept, which every page names', async () => {
      const workspaceId = await prepare(20, 11);
      const first = await list({ workspaceId, pageSize: 4 });
      expect(first).toMatchObject({ sequences: range(11, 14), first: 11 });
      const second = await list({ workspaceId, pageSize: 4, pageToken: first.next });
      expect(second).toMatchObject({ sequences: range(15, 18), first: 11 });
      const order = EventOrder.DESCENDING;
      expect(await list({ workspaceId, order })).toMatchObject({
        sequences: range(11, 20).toReversed(),
        next: '',
      });
      expect(await list({ workspaceId, typePatterns: ['odd'] })).toMatchObject({
        sequences: [11, 13, 15, 17, 19],
        first: 11,
      });
      // Not looked up by type, but sifted.
      expect(await list({ workspaceId, typePatterns: ['*'] })).toMatchObject({ first: 11 });
    });

    test('a list of a log of which nothing is kept is empty, and names the sequence to come', async () => {
      const workspaceId = await prepare(5, 6);
      const nothing = { sequences: [], first: 6, next: '' };
      expect(await list({ workspaceId })).toEqual(nothing);
      expect(await list({ workspaceId, typePatterns: ['odd'] })).toEqual(nothing);
      expect(await list({ workspaceId, afterSequence: 5n })).toEqual(nothing);
      const refusal = await refusalOf(client.listEvents({ workspaceId, afterSequence: 4n }));
      expect(refusal).toMatchObject(expired(6));
    });

    test.each([{ typePatterns: [] }, { typePatterns: ['odd'] }, { order: EventOrder.DESCENDING }])(
      'a cursor below the floor is refused, one right before it is not: %o',
      async (filter) => {
        const workspaceId = await prepare(20, 11);
        const refusal = await refusalOf(
          client.listEvents({ workspaceId, afterSequence: 9n, ...filter }),
        );
        expect(refusal).toMatchObject({ ...expired(11), fields: ['after_sequence'] });
        const { sequences } = await list({ workspaceId, afterSequence: 10n, ...filter });
        expect(sequences).toContain(11);
        expect(sequences).not.toContain(10);
      },
    );

    test.each([
      { createdAfter: 5, sequences: range(11, 20) },
      { createdAfter: 10, sequences: range(11, 20) },
      { createdAfter: 14, sequences: range(15, 20) },
      { createdBefore: 5, sequences: [] },
      { createdBefore: 12, sequences: [11] },
    ])('times before the floor are no cursors: %o', async ({ sequences, ...times }) => {
      const workspaceId = await prepare(20, 11);
      const query = Object.fromEntries(
        Object.entries(times).map(([name, second]) => [name, { seconds: BigInt(second) }]),
      );
      expect(await list({ workspaceId, ...query })).toMatchObject({ sequences, first: 11 });
    });

    test('an event below the floor is not found, one on it is', async () => {
      const workspaceId = await newWorkspace(4, 1);
      const { events } = await client.listEvents({ workspaceId });
      await moveFloor(service.database, workspaceId, 3);
      if (name.endsWith('gone')) await deleteBelowFloor(service.database, workspaceId);
      const answers = await Promise.allSettled(
        events.map(({ id }) => client.retrieveEvent({ id })),
      );
      expect(answers.map(({ status }) => status)).toEqual([
        'rejected',
        'rejected',
        'fulfilled',
        'fulfilled',
      ]);
      const id = events[0]?.id ?? '';
      expect(await refusalOf(client.retrieveEvent({ id }))).toMatchObject({
        reason: 'EVENT_NOT_FOUND',
        metadata: { event_id: id },
      });
    });

    test.each([{ typePatterns: [] }, { typePatterns: ['odd', 'even'] }, { typePatterns: ['o*'] }])(
      'a stream from 0 begins at the floor, and caught_up names it: %o',
      async (filter) => {
        const workspaceId = await prepare(1_200, 1_001);
        const stream = subscribeTo(client, { workspaceId, afterSequence: 0n, ...filter });
        const messages = await stream.caughtUp();
        expect(sequencesIn(messages).at(0)).toBe(1_001);
        expect(messages.at(-1)?.message).toMatchObject({ value: { firstSequence: 1_001n } });
        await stream.leave();
      },
    );

    test('a stream of a log of which nothing is kept follows what comes', async () => {
      const workspaceId = await prepare(5, 6);
      const stream = subscribeTo(client, { workspaceId, afterSequence: 0n });
      const [caughtUp] = await stream.caughtUp();
      expect(caughtUp).toMatchObject({ sequence: 5n, message: { value: { firstSequence: 6n } } });
      await client.createEvent({ workspaceId, type: 'next', payload: {} });
      expect(sequencesIn(await stream.events(1))).toEqual([6]);
      await stream.leave();
    });
  },
);

test.each(wires)('a stream from below the floor is refused over %s', async (wire) => {
  const workspaceId = await newWorkspace(20, 11);
  const stream = subscribeTo(createLogClient(service, wire), { workspaceId, afterSequence: 9n });
  expect(await stream.ended).toMatchObject({ ...expired(11), fields: ['after_sequence'] });
});

describe('retention goes on between two pages', () => {
  test('an ascending page token is expired once events that it goes on with are gone', async () => {
    const workspaceId = await newWorkspace(20, 1);
    const { next: pageToken } = await list({ workspaceId, pageSize: 5 });
    await moveFloor(service.database, workspaceId, 6);
    const query = { workspaceId, pageSize: 5, pageToken };
    expect(await list(query)).toMatchObject({ sequences: range(6, 10), first: 6 });
    await moveFloor(service.database, workspaceId, 7);
    const refusal = await refusalOf(client.listEvents(query));
    expect(refusal).toMatchObject({ ...expired(7), fields: ['page_token'] });
  });

  test('an ascending list that has left its after_sequence behind does not mind that it is gone', async () => {
    const workspaceId = await newWorkspace(20, 1);
    const query = { workspaceId, pageSize: 5, afterSequence: 3n };
    const { next: pageToken } = await list(query);
    await moveFloor(service.database, workspaceId, 9);
    expect(await list({ ...query, pageToken })).toMatchObject({ sequences: range(9, 13) });
  });

  test('a descending list ends where retention has come to, and is expired once that is past it', async () => {
    const workspaceId = await newWorkspace(20, 1);
    const query = { workspaceId, pageSize: 5, order: EventOrder.DESCENDING };
    const { next: pageToken } = await list(query);
    await moveFloor(service.database, workspaceId, 14);
    expect(await list({ ...query, pageToken })).toMatchObject({ sequences: [15, 14], next: '' });
    await moveFloor(service.database, workspaceId, 16);
    expect(await list({ ...query, pageToken })).toMatchObject({ sequences: [], next: '' });
    await moveFloor(service.database, workspaceId, 17);
    const refusal = await refusalOf(client.listEvents({ ...query, pageToken }));
    expect(refusal).toMatchObject({ ...expired(17), fields: ['page_token'] });
  });

  test('a descending list down to a sequence says that some of it is gone', async () => {
    const workspaceId = await newWorkspace(20, 1);
    const order = EventOrder.DESCENDING;
    const query = { workspaceId, pageSize: 5, order, afterSequence: 3n };
    const { next: pageToken } = await list(query);
    await moveFloor(service.database, workspaceId, 9);
    const refusal = await refusalOf(client.listEvents({ ...query, pageToken }));
    expect(refusal).toMatchObject({ ...expired(9), fields: ['after_sequence'] });
  });
});

describe('over REST', () => {
  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${service.baseUrl}${path}`, {
      headers: { authorization: `Bearer ${service.secretKey}`, ...headers },
    });

  test('a page names the first sequence that is kept', async () => {
    const workspaceId = await newWorkspace(20, 11);
    const page = await (await get(`/v1/events?workspace_id=${workspaceId}`)).json();
    expect(page).toMatchObject({ first_sequence: 11, events: { length: 10 } });
  });

  test.each([
    ['/v1/events', '&after_sequence=3', {}],
    ['/v1/events/stream', '&after_sequence=3', {}],
    ['/v1/events/stream', '', { 'last-event-id': '3' }],
  ])(
    '%s?%s with %o is refused with the first sequence that is kept',
    async (path, query, headers) => {
      const workspaceId = await newWorkspace(20, 11);
      const response = await get(`${path}?workspace_id=${workspaceId}${query}`, headers);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({
        code: 'out_of_range',
        reason: 'SEQUENCE_EXPIRED',
        metadata: { first_sequence: '11' },
      });
    },
  );
});

test.each([{ 'last-event-id': '3' }, {}])(
  'an EventSource that comes back from below the floor, with %o, is told so in the stream',
  async (headers) => {
    const workspaceId = await newWorkspace(20, 11);
    const query = `workspace_id=${workspaceId}&after_sequence=3`;
    const response = await fetch(`${service.baseUrl}/v1/events/stream?${query}`, {
      headers: {
        authorization: `Bearer ${service.secretKey}`,
        accept: 'text/event-stream',
        ...headers,
      },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const [, problem = '{}'] = /^event: problem\ndata: (.*)\n\n$/.exec(await response.text()) ?? [];
    expect(JSON.parse(problem)).toMatchObject({
      reason: 'SEQUENCE_EXPIRED',
      metadata: { first_sequence: '11' },
    });
  },
);

describe('a workspace that was deleted', () => {
  const deleteWorkspace = (workspaceId: string) =>
    service.database.query('update workspaces set deleted_at = now() where id = $1', [workspaceId]);
  const missing = { code: 'NotFound', reason: 'WORKSPACE_NOT_FOUND' };

  test('is not there for lists, streams, creates and retrieves, and ends the streams that follow it', async () => {
    const workspaceId = await newWorkspace(3, 1);
    const { events } = await client.listEvents({ workspaceId });
    const stream = subscribeTo(client, { workspaceId, afterSequence: 0n });
    await stream.caughtUp();
    await deleteWorkspace(workspaceId);
    expect(await stream.ended).toMatchObject(missing);
    expect(await refusalOf(client.listEvents({ workspaceId }))).toMatchObject(missing);
    const late = subscribeTo(client, { workspaceId, afterSequence: 0n });
    expect(await late.ended).toMatchObject(missing);
    const create = client.createEvent({ workspaceId, type: 'late', payload: {} });
    expect(await refusalOf(create)).toMatchObject(missing);
    const id = events[0]?.id ?? '';
    expect(await refusalOf(client.retrieveEvent({ id }))).toMatchObject({
      reason: 'EVENT_NOT_FOUND',
    });
    const [row] = await service.database.query(
      'select last_sequence from workspaces where id = $1',
      [workspaceId],
    );
    expect(row).toEqual({ last_sequence: '3' });
  });
});
