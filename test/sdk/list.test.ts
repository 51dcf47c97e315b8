import { create, toBinary } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import {
  EventOrder,
  ListEventsResponseSchema,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import {
  type Event,
  type EventPage,
  Harbor,
  type HarborOptions,
  type ListQuery,
} from '../../sdk/src/index.ts';
import {
  type ScriptedServer,
  type Step,
  serviceError,
  startScriptedServer,
} from './scripted-server.ts';

const secretKey = 'hbr_sk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK';
const workspaceId = 'ws_1';
const unavailable = serviceError(Code.Unavailable, 'DATABASE_UNAVAILABLE', { retryDelayMs: 1 });

function connect(server: ScriptedServer, options: Partial<HarborOptions> = {}): Harbor {
  return new Harbor({ secretKey, baseUrl: server.baseUrl, ...options });
}

/** A server with the events 1 … 10; every fifth is of type 'rare'. Then the script begins. */
async function startWithTenEvents(script: Step[] = [], onList: (count: number) => void = () => {}) {
  const server = await startScriptedServer(['answer', ...script], (count) => onList(count - 1));
  const harbor = connect(server);
  await harbor.events.createBatch(
    Array.from({ length: 10 }, (_, index) => ({
      workspaceId,
      type: index % 5 === 4 ? 'rare' : 'often',
      payload: { lineCount: index + 1 },
    })),
  );
  return { server, harbor };
}

async function sequences(events: AsyncIterable<Event>): Promise<number[]> {
  const seen: number[] = [];
  for await (const { sequence } of events) seen.push(sequence);
  return seen;
}

const oneToTen = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

describe('a list that is awaited', () => {
  test('is one page, and the token of the next', async () => {
    const { server, harbor } = await startWithTenEvents();
    const page = await harbor.events.list({ workspaceId, pageSize: 3 });
    expect(page.events.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    expect(page.events[0]?.payload).toEqual({ lineCount: 1 });
    const pageToken = page.nextPageToken;
    const next = await harbor.events.list({ workspaceId, pageSize: 3, pageToken });
    expect(next.events.map(({ sequence }) => sequence)).toEqual([4, 5, 6]);
    expect(server.lists).toHaveLength(2);
  });

  test('leads from page to page, to an end', async () => {
    const { harbor } = await startWithTenEvents();
    const pages: number[][] = [];
    let page: EventPage | undefined = await harbor.events.list({ workspaceId, pageSize: 4 });
    while (page !== undefined) {
      pages.push(page.events.map(({ sequence }) => sequence));
      page = await page.nextPage();
    }
    expect(pages).toEqual([
      [1, 2, 3, 4],
      [5, 6, 7, 8],
      [9, 10],
    ]);
  });

  test('sends every filter', async () => {
    const { server, harbor } = await startWithTenEvents();
    const createdAfter = new Date('2026-05-25T11:00:00.001Z');
    const createdBefore = new Date('2026-05-25T13:00:00.002Z');
    await harbor.events.list({
      ...{ workspaceId, createdAfter, createdBefore, pageSize: 500, pageToken: '0' },
      ...{ types: ['rare', 'invoice.*'], afterSequence: 7, order: 'desc' },
    });
    expect(server.lists[0]).toMatchObject({
      workspaceId,
      typePatterns: ['rare', 'invoice.*'],
      createdAfter: { seconds: 1779706800n, nanos: 1_000_000 },
      createdBefore: { seconds: 1779714000n, nanos: 2_000_000 },
      afterSequence: 7n,
      order: EventOrder.DESCENDING,
      pageSize: 500,
      pageToken: '0',
    });
  });

  test('sends nothing before, and one request however often it is awaited', async () => {
    const { server, harbor } = await startWithTenEvents();
    const list = harbor.events.list({ workspaceId });
    expect(server.lists).toHaveLength(0);
    const [first, second] = await Promise.all([list, list.then((page) => page), list.finally()]);
    expect(second).toBe(first);
    expect(await sequences(list)).toEqual(oneToTen);
    expect(server.lists).toHaveLength(1);
  });

  test.each<[string, Partial<ListQuery>, string]>([
    ['no workspace', { workspaceId: undefined as never }, 'workspaceId is missing.'],
    ['types as text', { types: 'a' as never }, 'types must be an array'],
    ['a type that is no text', { types: ['a', 1 as never] }, 'types[1] must be a string.'],
    ['patterns as text', { typePatterns: 'a' as never }, 'typePatterns must be an array'],
    ['patterns of null', { typePatterns: null as never }, 'typePatterns must be an array'],
    ['patterns of null by their other name', { types: null as never }, 'types must be an array'],
    ['patterns by both names', { typePatterns: ['a'], types: ['a'] }, 'types must not be there'],
    ['an empty subject', { subject: '' }, 'subject must not be empty'],
    ['a subject that is no text', { subject: 1 as never }, 'subject must be a string.'],
    ['an invalid date', { createdAfter: new Date('?') }, 'createdAfter must be a valid Date.'],
    ['a time as text', { createdBefore: '2026' as never }, 'createdBefore must be a valid Date.'],
    ['a cursor of null', { afterSequence: null as never }, 'afterSequence must be an integer'],
    ['a cursor below 0', { afterSequence: -1 }, 'afterSequence must be an integer from 0'],
    ['another order', { order: 'up' as never }, "order must be 'asc' or 'desc'."],
    ['a page of 0', { pageSize: 0 }, 'pageSize must be an integer from 1 to 500.'],
    ['a token that is no text', { pageToken: 1 as never }, 'pageToken must be a string.'],
  ])('refuses %s by rejecting, and sends nothing', async (_, query, message) => {
    const server = await startScriptedServer();
    const list = connect(server).events.list({ workspaceId, ...query });
    await expect(list).rejects.toMatchObject({
      name: 'InvalidRequestError',
      message: expect.stringContaining(message),
    });
    expect(server.requests()).toBe(0);
  });

  test.each(['typePatterns', 'types'])(
    'sends patterns that were given as %s, and a violation calls them so',
    async (name) => {
      const violations = [{ field: 'type_patterns[1]', description: 'is too long' }];
      const { server, harbor } = await startWithTenEvents([
        serviceError(Code.InvalidArgument, 'INVALID_REQUEST', { violations }),
      ]);
      const list = harbor.events.list({ workspaceId, [name]: ['a', 'b.*'] });
      await expect(list).rejects.toMatchObject({
        violations: [{ field: `${name}[1]`, description: 'is too long' }],
      });
      expect(server.lists[0]?.typePatterns).toEqual(['a', 'b.*']);
    },
  );
});

describe('a list that is iterated', () => {
  test('gives every event, page after page', async () => {
    const { server, harbor } = await startWithTenEvents();
    expect(await sequences(harbor.events.list({ workspaceId, pageSize: 3 }))).toEqual(oneToTen);
    expect(server.lists).toHaveLength(4);
  });

  test('gives the newest first when asked to', async () => {
    const { harbor } = await startWithTenEvents();
    const list = harbor.events.list({ workspaceId, pageSize: 3, order: 'desc' });
    expect(await sequences(list)).toEqual(oneToTen.toReversed());
  });

  test('passes over empty pages', async () => {
    const { server, harbor } = await startWithTenEvents();
    const list = harbor.events.list({ workspaceId, pageSize: 1, types: ['rare'] });
    expect(await sequences(list)).toEqual([5, 10]);
    expect(server.lists).toHaveLength(10);
  });

  test('fetches a page only when the loop has reached it, and none after break', async () => {
    const { server, harbor } = await startWithTenEvents();
    const fetched: number[] = [];
    for await (const { sequence } of harbor.events.list({ workspaceId, pageSize: 3 })) {
      fetched.push(server.lists.length);
      if (sequence === 5) break;
    }
    expect(fetched).toEqual([1, 1, 1, 2, 2]);
    expect(server.lists).toHaveLength(2);
  });

  test('retries each page as a call of its own', async () => {
    const twice: Step[] = ['reset', unavailable];
    const { server, harbor } = await startWithTenEvents([...twice, 'answer', ...twice, 'answer']);
    expect(await sequences(harbor.events.list({ workspaceId, pageSize: 5 }))).toEqual(oneToTen);
    expect(server.requests()).toBe(1 + 3 + 3);
  });

  test('throws when a page cannot be fetched', async () => {
    const refused = serviceError(Code.NotFound, 'WORKSPACE_NOT_FOUND');
    const { harbor } = await startWithTenEvents(['answer', refused]);
    const list = harbor.events.list({ workspaceId, pageSize: 5 });
    await expect(sequences(list)).rejects.toMatchObject({ name: 'NotFoundError' });
  });

  test('throws the reason of its signal, between two events of a page too', async () => {
    const { server, harbor } = await startWithTenEvents();
    const controller = new AbortController();
    const reason = new Error('the user left');
    const seen: number[] = [];
    const iterate = async () => {
      const { signal } = controller;
      for await (const { sequence } of harbor.events.list({ workspaceId }, { signal })) {
        seen.push(sequence);
        if (sequence === 2) controller.abort(reason);
      }
    };
    await expect(iterate()).rejects.toBe(reason);
    expect(seen).toEqual([1, 2]);
    expect(server.lists).toHaveLength(1);
  });

  test('throws the reason of its signal while a page is fetched', async () => {
    const controller = new AbortController();
    const { harbor } = await startWithTenEvents(['answer', 'stall'], (lists) => {
      if (lists === 2) controller.abort(new Error('the user left'));
    });
    const list = harbor.events.list({ workspaceId, pageSize: 5 }, { signal: controller.signal });
    await expect(sequences(list)).rejects.toThrow('the user left');
  });

  test('ends with an error when a page leads to itself', async () => {
    const page = create(ListEventsResponseSchema, { nextPageToken: 'again' });
    const body = toBinary(ListEventsResponseSchema, page);
    const headers = { 'content-type': 'application/proto' };
    const fetch: typeof globalThis.fetch = async () => new Response(body, { headers });
    const list = new Harbor({ secretKey, fetch }).events.list({ workspaceId });
    await expect(sequences(list)).rejects.toMatchObject({ reason: 'RESPONSE_INVALID' });
  });
});
