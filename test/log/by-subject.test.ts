import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventOrder } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { wires } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import { type FilledEvent, fillLog } from '../support/filled-log.ts';
import { sendRequest } from '../support/http-request.ts';
import { createLogClient, type EventsClient, logWires } from '../support/log-wires.ts';
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
async function newWorkspace(events: readonly FilledEvent[]): Promise<string> {
  const id = `ws_subject${++workspaces}`;
  await service.app.workspaces.create(id, '');
  await fillLog(service.database, id, events);
  return id;
}

/** Events of three things by turns, of two types by turns; one in three is about nothing in particular. */
const mixed = range(1, 24).map((n) => ({
  type: n % 2 ? 'invoice.paid' : 'invoice.sent',
  ...(n % 3 && { subject: `inv_${n % 3}` }),
}));

type Query = Omit<Parameters<EventsClient['listEvents']>[0], '$typeName'>;

/** The sequences of each page, to the end of the list. */
async function pagesOf(query: Query, by = client): Promise<number[][]> {
  const pages: number[][] = [];
  for (let pageToken = ''; ; ) {
    const page = await by.listEvents({ ...query, pageToken });
    pages.push(page.events.map(({ sequence }) => Number(sequence)));
    pageToken = page.nextPageToken;
    if (pageToken === '') return pages;
  }
}
const allOf = async (query: Query, by = client) => (await pagesOf(query, by)).flat();

describe.each(wires)('over %s', (wire) => {
  test('one thing’s history is one call', async () => {
    const workspaceId = await newWorkspace(mixed);
    const by = createLogClient(service, wire);
    const history = { workspaceId, subject: 'inv_1' };
    expect(await pagesOf(history, by)).toEqual([[1, 4, 7, 10, 13, 16, 19, 22]]);
    const [event] = (await by.listEvents(history)).events;
    expect(event).toMatchObject({ sequence: 1n, subject: 'inv_1', type: 'invoice.paid' });
    const narrower = { ...history, typePatterns: ['invoice.s*'], afterSequence: 4n };
    expect(await pagesOf(narrower, by)).toEqual([[10, 16, 22]]);
    const newestFirst = { ...history, order: EventOrder.DESCENDING, pageSize: 3 };
    expect(await allOf(newestFirst, by)).toEqual([22, 19, 16, 13, 10, 7, 4, 1]);
  });
});

test('a subject is compared as it is, and one that nothing is about has no events', async () => {
  const workspaceId = await newWorkspace([
    ...mixed,
    ...['inv_1 2', 'INV_1', 'é', '%'].map((subject) => ({ type: 'other', subject })),
  ]);
  for (const [subject, sequences] of [
    ['inv_1 2', [25]],
    ['INV_1', [26]],
    ['é', [27]],
    ['%', [28]],
    ['inv_', []],
    ['inv_3', []],
  ] as const) {
    expect(await allOf({ workspaceId, subject })).toEqual(sequences);
  }
});

test.each(['a*', ' a', 'a ', 'a\nb', 'x'.repeat(256)])(
  'the subject %j is refused and named',
  async (subject) => {
    const workspaceId = await newWorkspace([]);
    const refused = { code: 'InvalidArgument', fields: ['subject'] };
    expect(await refusalOf(client.listEvents({ workspaceId, subject }))).toMatchObject(refused);
    const { ended } = subscribeTo(client, { workspaceId, subject });
    expect(await ended).toMatchObject(refused);
  },
);

test('REST lists and streams by subject', async () => {
  const workspaceId = await newWorkspace(mixed);
  const headers = { authorization: `Bearer ${service.secretKey}` };
  const path = `/v1/events?workspace_id=${workspaceId}&subject=inv_2&types=invoice.sent`;
  const answer = await sendRequest(service, path, { headers });
  const { events } = JSON.parse(answer.text) as { events: { sequence: number; subject: string }[] };
  expect(events.map(({ sequence }) => sequence)).toEqual([2, 8, 14, 20]);
  expect(events[0]?.subject).toBe('inv_2');
  const leave = new AbortController();
  const streamed = await fetch(
    `${service.baseUrl}/v1/events/stream?workspace_id=${workspaceId}&subject=inv_2&after_sequence=0`,
    { headers, signal: leave.signal },
  );
  let text = '';
  for await (const chunk of streamed.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (text.includes('caught_up')) break;
  }
  leave.abort();
  const ids = [...text.matchAll(/^id: (\d+)\ndata/gm)].map(([, id]) => Number(id));
  expect(ids).toEqual([2, 5, 8, 11, 14, 17, 20, 23]);
});

describe('rare types of a subject with a long history', () => {
  const wantedAt = [3, 5_999, 6_001, 13_000];
  let workspaceId: string;
  beforeAll(async () => {
    workspaceId = await newWorkspace(
      range(1, 13_000).map((n) => ({
        type: wantedAt.includes(n) ? 'rare' : 'frequent',
        subject: 'long',
      })),
    );
  });

  test.each([EventOrder.ASCENDING, EventOrder.DESCENDING])(
    'are found to the end by pages that may be short: order %i',
    async (order) => {
      const query = { workspaceId, subject: 'long', typePatterns: ['rare'], order };
      const pages = await pagesOf(query);
      const expected = order === EventOrder.ASCENDING ? wantedAt : wantedAt.toReversed();
      expect(pages.flat()).toEqual(expected);
      expect(pages).toHaveLength(3);
      expect(await allOf({ ...query, pageSize: 1 })).toEqual(expected);
    },
  );

  test('are streamed, and caught_up comes after all of them', async () => {
    const request = { workspaceId, subject: 'long', typePatterns: ['rare'], afterSequence: 3n };
    const subscriber = subscribeTo(client, request);
    const messages = await subscriber.caughtUp();
    expect(sequencesIn(messages)).toEqual(wantedAt.slice(1));
    expect(messages.at(-1)?.sequence).toBe(13_000n);
    await subscriber.leave();
  });
});

describe.each(logWires)('a stream over %s', (wire) => {
  test('of a subject holds what is there and what comes, and resumes after any of its messages', async () => {
    const workspaceId = await newWorkspace(mixed);
    const by = createLogClient(service, wire);
    const request = { workspaceId, subject: 'inv_2', typePatterns: ['invoice.paid'] };
    const subscriber = subscribeTo(by, { ...request, afterSequence: 0n });
    const there = [5, 11, 17, 23];
    expect(sequencesIn(await subscriber.caughtUp())).toEqual(there);
    for (const subject of ['inv_1', 'inv_2', 'inv_22', '']) {
      await client.createEvent({ workspaceId, type: 'invoice.paid', subject, payload: {} });
    }
    await client.createEvent({ workspaceId, type: 'invoice.sent', subject: 'inv_2', payload: {} });
    await client.createEvent({ workspaceId, type: 'invoice.paid', subject: 'inv_2', payload: {} });
    expect(sequencesIn(await subscriber.events(6))).toEqual([...there, 26, 30]);
    for (const { sequence } of [...subscriber.messages]) {
      const rest = subscribeTo(by, { ...request, afterSequence: sequence });
      const expected = [...there, 26, 30].filter((one) => one > Number(sequence));
      expect(sequencesIn(await rest.caughtUp())).toEqual(expected);
      await rest.leave();
    }
    await subscriber.leave();
  });
});

test('a key of some types reads those of a subject, and no others', async () => {
  const workspaceId = await newWorkspace(mixed);
  const secretKey = await service.issueKey({
    scopes: ['events:read'],
    typePatterns: ['invoice.sent'],
  });
  const by = createLogClient({ ...service, secretKey });
  expect(await allOf({ workspaceId, subject: 'inv_1' }, by)).toEqual([4, 10, 16, 22]);
  const subscriber = subscribeTo(by, { workspaceId, subject: 'inv_1', afterSequence: 0n });
  expect(sequencesIn(await subscriber.caughtUp())).toEqual([4, 10, 16, 22]);
  await subscriber.leave();
});
