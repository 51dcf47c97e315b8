import type { MessageInitShape } from '@bufbuild/protobuf';
import { toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { credentials, Client as GrpcJsClient } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  EventOrder,
  EventsService,
  type ListEventsRequest,
  type ListEventsRequestSchema,
  type ListEventsResponse,
  ListEventsResponseSchema,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { wires } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import { type FilledEvent, fillLog } from '../support/filled-log.ts';
import { callUnary, metadataOf } from '../support/grpc-js-client.ts';
import { sendRequest } from '../support/http-request.ts';
import { createLogClient, type EventsClient } from '../support/log-wires.ts';
import { range } from '../support/subscriber.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

/** A request as plain fields, without the message that it may be too. */
type Query = Exclude<MessageInitShape<typeof ListEventsRequestSchema>, ListEventsRequest>;

const pageBytesMax = 2 * 1024 * 1024;
/** The types of the small log, by sequence. */
const smallTypes = ['invoice.paid', 'invoice.sent', 'order.placed', 'invoice', 'refund'];
const firstMs = Date.parse('2026-03-01T12:00:00.000Z');

let service: TestService;
let client: EventsClient;
/** Twenty events, ten milliseconds apart, of five types by turns. */
const small = 'ws_small';

beforeAll(async () => {
  service = await startTestService();
  client = createLogClient(service);
  await newWorkspace(
    range(0, 19).map((index) => ({
      type: smallTypes[index % 5] as string,
      payload: { index },
      createdAt: new Date(firstMs + index * 10),
    })),
    small,
  );
});
afterAll(() => service.stop());

let workspaces = 0;
async function newWorkspace(
  events: readonly FilledEvent[] = [],
  id = `ws_list${++workspaces}`,
): Promise<string> {
  await service.app.workspaces.create(id, '');
  await fillLog(service.database, id, events);
  return id;
}

const sequencesOf = ({ events }: ListEventsResponse) => events.map((one) => Number(one.sequence));

/** All pages of a list; fails when there are more than `pagesMax`. */
async function pagesOf(query: Query, by = client, pagesMax = 200): Promise<ListEventsResponse[]> {
  const pages: ListEventsResponse[] = [];
  for (let pageToken = ''; ; ) {
    const page = await by.listEvents({ ...query, pageToken });
    pages.push(page);
    pageToken = page.nextPageToken;
    if (pageToken === '') return pages;
    if (pages.length >= pagesMax) throw new Error(`no end after ${pagesMax} pages`);
  }
}
const allOf = async (query: Query, by = client) => (await pagesOf(query, by)).flatMap(sequencesOf);

const at = (ms: number, nanos = 0): { seconds: bigint; nanos: number } => {
  const time = timestampFromMs(ms);
  return { seconds: time.seconds, nanos: time.nanos + nanos };
};

describe.each(wires)('over %s', (wire) => {
  const by = () => createLogClient(service, wire);

  test('a list holds the events whole, in both orders, page by page', async () => {
    const pages = await pagesOf({ workspaceId: small, pageSize: 7 }, by());
    expect(pages.map(sequencesOf)).toEqual([range(1, 7), range(8, 14), range(15, 20)]);
    const [first] = pages[0]?.events ?? [];
    const { event } = await by().retrieveEvent({ id: first?.id ?? '' });
    expect(first).toEqual(event);
    expect(first).toMatchObject({ type: 'invoice.paid', payload: { index: 0 } });
    const descending = { workspaceId: small, pageSize: 7, order: EventOrder.DESCENDING };
    expect(await allOf(descending, by())).toEqual(range(1, 20).toReversed());
  });

  test('all filters together leave what passes each of them', async () => {
    const query: Query = {
      workspaceId: small,
      typePatterns: ['invoice.*', 'refund'],
      createdAfter: at(firstMs + 30),
      createdBefore: at(firstMs + 160),
      afterSequence: 6n,
      pageSize: 2,
    };
    expect(await allOf(query, by())).toEqual([7, 10, 11, 12, 15, 16]);
  });

  test('an error names its field', async () => {
    const refusals = await Promise.all(
      [
        { pageSize: -1 },
        { pageSize: 501 },
        { afterSequence: -1n },
        { typePatterns: ['a*b'] },
        { pageToken: 'garbage' },
      ].map((query) => refusalOf(by().listEvents({ workspaceId: small, ...query }))),
    );
    expect(refusals.map(({ fields }) => fields[0])).toEqual([
      'page_size',
      'page_size',
      'after_sequence',
      'type_patterns[0]',
      'page_token',
    ]);
    expect(new Set(refusals.map(({ code }) => code))).toEqual(new Set(['InvalidArgument']));
  });
});

describe('filters', () => {
  test.each([
    [['invoice.paid'], [1, 6, 11, 16]],
    [['invoice'], [4, 9, 14, 19]],
    [['invoice*'], [1, 2, 4, 6, 7, 9, 11, 12, 14, 16, 17, 19]],
    [['invoice.*'], [1, 2, 6, 7, 11, 12, 16, 17]],
    [
      ['invoice.p*', 'refund'],
      [1, 5, 6, 10, 11, 15, 16, 20],
    ],
    [
      ['invoice.*', 'invoice.paid', 'invoice.paid'],
      [1, 2, 6, 7, 11, 12, 16, 17],
    ],
    [['*'], range(1, 20)],
    [['*', 'refund'], range(1, 20)],
    [['nothing'], []],
    [['nothing*'], []],
    [['Invoice*'], []],
    [['invoice_paid', 'invoice%*', 'invoice.____'], []],
  ])('the type patterns %j leave what they match', async (typePatterns, expected) => {
    expect(await allOf({ workspaceId: small, typePatterns, pageSize: 3 })).toEqual(expected);
    const descending = { typePatterns, order: EventOrder.DESCENDING, pageSize: 3 };
    expect(await allOf({ workspaceId: small, ...descending })).toEqual(expected.toReversed());
  });

  // Event 11 was created at + 100 ms.
  test.each([
    [99, 0, 11],
    [99, 1, 11],
    [99, 499_999, 11],
    [99, 500_000, 11],
    [99, 999_999, 11],
    [100, 0, 12],
    [100, 1, 12],
    [100, 999_999, 12],
    [109, 999_999, 12],
  ])('created_after + %i ms and %i ns begins with event %i', async (ms, nanos, first) => {
    const query = { workspaceId: small, createdAfter: at(firstMs + ms, nanos) };
    expect(await allOf(query)).toEqual(range(first, 20));
  });

  test.each([
    [100, 0, 10],
    [100, 1, 11],
    [100, 500_000, 11],
    [100, 999_999, 11],
    [99, 999_999, 10],
    [99, 500_001, 10],
    [99, 0, 10],
    [101, 0, 11],
  ])('created_before + %i ms and %i ns ends with event %i', async (ms, nanos, last) => {
    const query = { workspaceId: small, createdBefore: at(firstMs + ms, nanos) };
    expect(await allOf(query)).toEqual(range(1, last));
  });

  test('events of one millisecond are all after or all before a time', async () => {
    const times = [0, 0, 0, 5, 5, 5, 9];
    const workspaceId = await newWorkspace(
      times.map((ms) => ({ type: 'same', createdAt: new Date(firstMs + ms) })),
    );
    expect(await allOf({ workspaceId, createdAfter: at(firstMs) })).toEqual([4, 5, 6, 7]);
    expect(await allOf({ workspaceId, createdAfter: at(firstMs, 1) })).toEqual([4, 5, 6, 7]);
    expect(await allOf({ workspaceId, createdBefore: at(firstMs + 5) })).toEqual([1, 2, 3]);
    expect(await allOf({ workspaceId, createdBefore: at(firstMs + 5, 1) })).toEqual(range(1, 6));
    const between = { createdAfter: at(firstMs + 5), createdBefore: at(firstMs + 5) };
    expect(await allOf({ workspaceId, ...between })).toEqual([]);
  });

  test.each([
    ['the year 1', Date.parse('0001-01-01T00:00:00Z'), range(1, 20), []],
    ['the year 9999', Date.parse('9999-12-31T23:59:59.999Z'), [], range(1, 20)],
  ])('%s is a time like any other', async (_, ms, after, before) => {
    expect(await allOf({ workspaceId: small, createdAfter: at(ms) })).toEqual(after);
    expect(await allOf({ workspaceId: small, createdBefore: at(ms) })).toEqual(before);
  });

  test.each([
    ['before the year 1', { seconds: -62_135_596_801n, nanos: 0 }],
    ['after the year 9999', { seconds: 253_402_300_800n, nanos: 0 }],
    ['beyond what JavaScript has dates for', { seconds: 1n << 62n, nanos: 0 }],
  ])('a time %s is refused and names its field', async (_, time) => {
    const after = client.listEvents({ workspaceId: small, createdAfter: time });
    expect(await refusalOf(after)).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['created_after'],
    });
    const before = client.listEvents({ workspaceId: small, createdBefore: time });
    expect(await refusalOf(before)).toMatchObject({ fields: ['created_before'] });
  });

  test('a time before created_after is refused as created_before, the same time is not', async () => {
    const between = (before: ReturnType<typeof at>) =>
      client.listEvents({
        workspaceId: small,
        createdAfter: at(firstMs, 2),
        createdBefore: before,
      });
    for (const before of [at(firstMs, 1), at(firstMs - 1_000, 2)]) {
      expect(await refusalOf(between(before))).toMatchObject({
        code: 'InvalidArgument',
        reason: 'INVALID_REQUEST',
        message: 'created_before must not be earlier than created_after',
        fields: ['created_before'],
      });
    }
    expect(await between(at(firstMs, 2))).toMatchObject({ events: [] });
  });

  test('after_sequence leaves what is newer, in both orders, and the newest leaves nothing', async () => {
    expect(await allOf({ workspaceId: small, afterSequence: 17n })).toEqual([18, 19, 20]);
    const descending = { afterSequence: 17n, order: EventOrder.DESCENDING, pageSize: 2 };
    expect(await allOf({ workspaceId: small, ...descending })).toEqual([20, 19, 18]);
    expect(await allOf({ workspaceId: small, afterSequence: 20n })).toEqual([]);
  });

  test.each([21n, 9_007_199_254_740_991n])(
    'after_sequence %i, above the newest, is refused with the newest',
    async (afterSequence) => {
      const call = client.listEvents({ workspaceId: small, afterSequence });
      expect(await refusalOf(call)).toMatchObject({
        code: 'OutOfRange',
        reason: 'SEQUENCE_IN_FUTURE',
        metadata: { last_sequence: '20' },
        fields: ['after_sequence'],
      });
    },
  );

  test('after_sequence above 2^53 - 1 and an unknown order are refused', async () => {
    const large = client.listEvents({ workspaceId: small, afterSequence: 1n << 53n });
    expect(await refusalOf(large)).toMatchObject({ fields: ['after_sequence'] });
    const unknown = client.listEvents({ workspaceId: small, order: 7 as EventOrder });
    expect(await refusalOf(unknown)).toMatchObject({ fields: ['order'] });
  });

  test('a workspace without events is an empty list, one that does not exist is not found', async () => {
    const workspaceId = await newWorkspace();
    expect(await client.listEvents({ workspaceId })).toMatchObject({
      events: [],
      nextPageToken: '',
    });
    expect(await refusalOf(client.listEvents({ workspaceId: 'ws_nowhere' }))).toMatchObject({
      code: 'NotFound',
      reason: 'WORKSPACE_NOT_FOUND',
    });
  });
});

describe('pages', () => {
  test('hold 100 events unless asked, 500 at the most', async () => {
    const workspaceId = await newWorkspace(range(1, 620).map(() => ({ type: 'paged' })));
    const sizes = async (query: Query) =>
      (await pagesOf({ workspaceId, ...query })).map(({ events }) => events.length);
    expect(await sizes({})).toEqual([100, 100, 100, 100, 100, 100, 20]);
    expect(await sizes({ pageSize: 500 })).toEqual([500, 120]);
    expect(await sizes({ pageSize: 1, afterSequence: 617n })).toEqual([1, 1, 1]);
  });

  test('may change their size on the way', async () => {
    const first = await client.listEvents({ workspaceId: small, pageSize: 3 });
    const query = { workspaceId: small, pageSize: 5, pageToken: first.nextPageToken };
    expect(sequencesOf(await client.listEvents(query))).toEqual(range(4, 8));
  });

  test('in ascending order miss nothing that is appended while they are read', async () => {
    const workspaceId = await newWorkspace();
    const requests = range(1, 40).map((n) => ({
      workspaceId,
      type: n % 2 === 0 ? 'even' : 'odd',
      payload: {},
    }));
    let acknowledged = 0;
    let done = false;
    const writing = (async () => {
      while (!done) {
        await client.batchCreateEvents({ requests });
        acknowledged += requests.length;
      }
    })();
    const rounds: { known: number; all: number[]; even: number[] }[] = [];
    while (acknowledged < 1_500) {
      const known = acknowledged;
      const [all, even] = await Promise.all([
        allOf({ workspaceId, pageSize: 90 }),
        allOf({ workspaceId, pageSize: 70, typePatterns: ['even'] }),
      ]);
      rounds.push({ known, all, even });
    }
    done = true;
    await writing;
    expect(rounds.filter(({ known }) => known > 0)).not.toEqual([]);
    for (const { known, all, even } of rounds) {
      expect(all).toEqual(range(1, all.length));
      expect(all.length).toBeGreaterThanOrEqual(known);
      expect(even).toEqual(range(1, even.length).map((n) => n * 2));
      expect(even.length).toBeGreaterThanOrEqual(known / 2);
    }
    const descending = { workspaceId, order: EventOrder.DESCENDING, pageSize: 77 };
    expect(await allOf(descending)).toEqual(range(1, acknowledged).toReversed());
  });

  test('in descending order hold what was there when they began, once', async () => {
    const workspaceId = await newWorkspace(range(1, 50).map(() => ({ type: 'early' })));
    const query: Query = { workspaceId, order: EventOrder.DESCENDING, pageSize: 20 };
    const first = await client.listEvents(query);
    await fillLog(
      service.database,
      workspaceId,
      range(1, 30).map(() => ({ type: 'late' })),
    );
    const second = await client.listEvents({ ...query, pageToken: first.nextPageToken });
    const third = await client.listEvents({ ...query, pageToken: second.nextPageToken });
    expect([first, second, third].flatMap(sequencesOf)).toEqual(range(1, 50).toReversed());
    expect(third.nextPageToken).toBe('');
  });
});

describe('a page of at most 2 MiB', () => {
  /** A client with gRPC's default limit of 4 MiB. */
  async function withGrpcJs<T>(run: (list: (query: Query) => Promise<ListEventsResponse>) => T) {
    const grpc = new GrpcJsClient(`${service.host}:${service.port}`, credentials.createInsecure());
    const headers = metadataOf({ authorization: `Bearer ${service.secretKey}` });
    const list = (query: Query) => callUnary(grpc, EventsService.method.listEvents, query, headers);
    try {
      return await run(list);
    } finally {
      grpc.close();
    }
  }

  test.each([
    ['texts of 256 KB', 12, { text: 'x'.repeat(262_000) }, 'large', 7],
    [
      'lists of numbers, five times as large as in JSON',
      6,
      { list: Array(131_000).fill(1) },
      'large',
      1,
    ],
    ['members, twice as large as in JSON', 8, { list: Array(32_000).fill({ a: 1 }) }, 'large', 2],
    ['short texts', 8, { list: Array(65_000).fill('') }, 'large', 4],
    ['empty objects and nothing', 8, { list: Array(17_000).fill([{}, null, true]) }, 'large', 3],
    ['the longest types', 500, { text: 'x'.repeat(4_000) }, '𝄞'.repeat(255), 395],
  ])(
    'holds %s and is read by a client with a 4 MiB limit',
    async (_, count, payload, type, fullest) => {
      const workspaceId = await newWorkspace(range(1, count).map(() => ({ type, payload })));
      for (const order of [EventOrder.ASCENDING, EventOrder.DESCENDING]) {
        const pages = await withGrpcJs(async (list) => {
          const read: ListEventsResponse[] = [];
          for (let pageToken = ''; read.length === 0 || pageToken !== ''; ) {
            const page = await list({ workspaceId, pageSize: 500, pageToken, order });
            read.push(page);
            pageToken = page.nextPageToken;
          }
          return read;
        });
        const sequences = pages.flatMap(sequencesOf).toSorted((a, b) => a - b);
        expect(sequences).toEqual(range(1, count));
        const tooLarge = pages.filter(
          (page) =>
            page.events.length > 1 &&
            toBinary(ListEventsResponseSchema, page).length > pageBytesMax,
        );
        expect(tooLarge.map(sequencesOf)).toEqual([]);
        // An event that is larger than half a page may be alone; of the others several share one.
        expect(Math.max(...pages.map(({ events }) => events.length))).toBe(fullest);
      }
    },
  );

  test('is filled as far as it may be', async () => {
    const payload = { text: 'x'.repeat(50_000) };
    const workspaceId = await newWorkspace(range(1, 60).map(() => ({ type: 'a', payload })));
    const pages = await pagesOf({ workspaceId, pageSize: 500 });
    expect(pages).toHaveLength(2);
  });
});

describe('more than 32 types behind a prefix', () => {
  let workspaceId: string;
  const kinds = 40;
  const noise = 6_000;

  beforeAll(async () => {
    workspaceId = await newWorkspace([
      ...range(1, kinds).map((n) => ({ type: `kind.${n}` })),
      ...range(1, noise).map(() => ({ type: 'noise' })),
      ...range(1, kinds).map((n) => ({ type: `kind.${n}` })),
    ]);
  });

  const wanted = [...range(1, kinds), ...range(kinds + noise + 1, 2 * kinds + noise)];

  test.each([1, 3, 100, 500])(
    'are found to the end by pages of %i, in both orders',
    async (pageSize) => {
      const query = { workspaceId, typePatterns: ['kind.*'], pageSize };
      expect(await allOf(query)).toEqual(wanted);
      expect(await allOf({ ...query, order: EventOrder.DESCENDING })).toEqual(wanted.toReversed());
    },
  );

  test('are found together with a single type and a cursor', async () => {
    const query = { workspaceId, typePatterns: ['kind.*', 'nothing'], afterSequence: 20n };
    expect(await allOf(query)).toEqual(wanted.filter((sequence) => sequence > 20));
  });

  test('that are not there any more still end', async () => {
    const query = {
      workspaceId,
      typePatterns: ['kind.*'],
      afterSequence: BigInt(2 * kinds + noise),
    };
    expect(await allOf(query)).toEqual([]);
    const middle = { afterSequence: 50n, createdBefore: at(0) };
    expect(await allOf({ ...query, ...middle })).toEqual([]);
  });
});

describe('a page token', () => {
  const query: Query = { workspaceId: small, typePatterns: ['invoice*', 'refund'], pageSize: 2 };
  let token: string;
  beforeAll(async () => {
    token = (await client.listEvents(query)).nextPageToken;
  });

  const refused = {
    code: 'InvalidArgument',
    reason: 'INVALID_REQUEST',
    fields: ['page_token'],
  };

  test.each<[string, Query]>([
    ['of another workspace', { workspaceId: 'ws_test' }],
    ['of a subject', { subject: 'inv_1' }],
    ['of other types', { typePatterns: ['invoice*'] }],
    ['of a list of every type', { typePatterns: [] }],
    ['of the other order', { order: EventOrder.DESCENDING }],
    ['of another cursor', { afterSequence: 1n }],
    ['of another time', { createdAfter: at(firstMs) }],
    ['of another end', { createdBefore: at(firstMs + 1_000) }],
  ])('%s is refused', async (_, other) => {
    const call = client.listEvents({ ...query, ...other, pageToken: token });
    expect(await refusalOf(call)).toMatchObject(refused);
  });

  test.each([
    'garbage',
    'null',
    '[]',
    '😀',
    Buffer.from('null').toString('base64url'),
    Buffer.from('[]').toString('base64url'),
    Buffer.from('["events",1]').toString('base64url'),
    'A'.repeat(1_024),
  ])('like %j is refused', async (pageToken) => {
    expect(await refusalOf(client.listEvents({ ...query, pageToken }))).toMatchObject(refused);
  });

  test.each(['7', '0', '-1', '99', '1e9', '', 'x', '99999999999999999999', '9007199254740993'])(
    'whose position was made %j is refused',
    async (position) => {
      const parts = JSON.parse(Buffer.from(token, 'base64url').toString()) as unknown[];
      const tampered = Buffer.from(JSON.stringify([...parts.slice(0, -1), position]));
      const pageToken = tampered.toString('base64url');
      expect(await refusalOf(client.listEvents({ ...query, pageToken }))).toMatchObject(refused);
    },
  );

  test('with anything added to it is refused', async () => {
    for (const pageToken of [`${token}!`, `${token}=`, ` ${token}`, `${token}AA`]) {
      expect(await refusalOf(client.listEvents({ ...query, pageToken }))).toMatchObject(refused);
    }
  });

  test('is good for the same filter in another order of patterns, and for the same order said otherwise', async () => {
    const same = {
      ...query,
      typePatterns: ['refund', 'invoice*'],
      order: EventOrder.ASCENDING,
      pageToken: token,
    };
    expect(sequencesOf(await client.listEvents(same))).toEqual([4, 5]);
  });
});

describe('a restricted API key', () => {
  const as = async (grant: { workspaceIds?: string[]; typePatterns?: string[] }) => {
    const secretKey = await service.issueKey({ scopes: ['events:read'], ...grant });
    return createLogClient({ ...service, secretKey });
  };

  test('of other workspaces is told so', async () => {
    const by = await as({ workspaceIds: ['ws_test'] });
    expect(await refusalOf(by.listEvents({ workspaceId: small }))).toMatchObject({
      code: 'PermissionDenied',
      reason: 'WORKSPACE_NOT_ALLOWED',
    });
    expect(await allOf({ workspaceId: 'ws_test' }, by)).toEqual([]);
  });

  test('of some types lists those, and narrower ones that it asks for', async () => {
    const by = await as({ typePatterns: ['invoice.*', 'refund'] });
    expect(await allOf({ workspaceId: small, pageSize: 3 }, by)).toEqual([
      1, 2, 5, 6, 7, 10, 11, 12, 15, 16, 17, 20,
    ]);
    const paid = { workspaceId: small, typePatterns: ['invoice.paid'] };
    expect(await allOf(paid, by)).toEqual([1, 6, 11, 16]);
    expect(await allOf({ workspaceId: small, typePatterns: ['invoice.s*'] }, by)).toEqual([
      2, 7, 12, 17,
    ]);
  });

  test.each(['*', 'invoice*', 'invoice', 'order.placed', 'refund*', 'r*'])(
    'of some types is refused the pattern %s beyond them',
    async (pattern) => {
      const by = await as({ typePatterns: ['invoice.*', 'refund'] });
      const call = by.listEvents({ workspaceId: small, typePatterns: ['refund', pattern] });
      expect(await refusalOf(call)).toMatchObject({
        code: 'PermissionDenied',
        reason: 'EVENT_TYPE_NOT_ALLOWED',
        metadata: { type: pattern },
      });
    },
  );

  test('cannot go on with the token of a key that may read more', async () => {
    const by = await as({ typePatterns: ['refund'] });
    const { nextPageToken: pageToken } = await client.listEvents({
      workspaceId: small,
      pageSize: 1,
    });
    expect(await refusalOf(by.listEvents({ workspaceId: small, pageToken }))).toMatchObject({
      fields: ['page_token'],
    });
  });

  test('without events:read is told the scope', async () => {
    const secretKey = await service.issueKey({ scopes: ['events:write'] });
    const call = createLogClient({ ...service, secretKey }).listEvents({ workspaceId: small });
    expect(await refusalOf(call)).toMatchObject({ reason: 'SCOPE_MISSING' });
  });
});

test('a list can be fetched with GET over Connect, page by page', async () => {
  const get = async (message: object) => {
    const text = encodeURIComponent(JSON.stringify(message));
    const path = `/harbor.events.v1.EventsService/ListEvents?connect=v1&encoding=json&message=${text}`;
    const answer = await sendRequest(service, path);
    expect(answer.status).toBe(200);
    return JSON.parse(answer.text);
  };
  const query = {
    workspaceId: small,
    pageSize: 2,
    typePatterns: ['refund'],
    order: 'EVENT_ORDER_DESCENDING',
  };
  const first = await get(query);
  const second = await get({ ...query, pageToken: first.nextPageToken });
  const sequences = [...first.events, ...second.events].map(
    (one: { sequence: string }) => one.sequence,
  );
  expect(sequences).toEqual(['20', '15', '10', '5']);
});

describe('for any log and any query', () => {
  const anyType = fc.constantFrom(
    'a',
    'a.b',
    'a.c',
    'a.b.c',
    'ab',
    'b',
    'A',
    '%',
    '_',
    'é',
    '𝄞',
    '｡',
  );
  const anyPattern = fc.oneof(
    anyType,
    fc
      .tuple(fc.constantFrom('', 'a', 'a.', 'a.b', 'ab', '𝄞', 'é', '%', 'z'), fc.constant('*'))
      .map((parts) => parts.join('')),
  );
  const anySubject = fc.option(fc.constantFrom('a', 'b', 'A', 'é', '%'), { nil: undefined });
  const anyEvent = fc.record({ type: anyType, subject: anySubject, laterMs: fc.nat(2) });
  const anyLog = fc.array(anyEvent, { maxLength: 30 });
  const anyTime = fc.option(
    fc.record({ ms: fc.integer({ min: -2, max: 40 }), nanos: fc.nat(999_999) }),
    { nil: undefined },
  );
  const anyQuery = fc.record({
    patterns: fc.array(anyPattern, { maxLength: 3 }),
    subject: anySubject,
    period: fc.tuple(anyTime, anyTime),
    cursor: fc.double({ min: 0, max: 1, noNaN: true }),
    order: fc.constantFrom(EventOrder.ASCENDING, EventOrder.DESCENDING),
    pageSize: fc.integer({ min: 1, max: 9 }),
  });
  type Time = { readonly ms: number; readonly nanos: number } | undefined;
  const inOrder = (one: Time, other: Time): [Time, Time] =>
    one && other && other.ms * 1e6 + other.nanos < one.ms * 1e6 + one.nanos
      ? [other, one]
      : [one, other];
  const isMatch = (pattern: string, type: string) =>
    pattern.endsWith('*') ? type.startsWith(pattern.slice(0, -1)) : type === pattern;

  test('the pages hold what the filter leaves of the log, each event once', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyLog,
        fc.array(anyQuery, { minLength: 4, maxLength: 8 }),
        async (log, queries) => {
          let ms = 0;
          const events = log.map(({ laterMs, ...event }, index) => {
            ms += laterMs;
            return { ...event, ms, sequence: index + 1, createdAt: new Date(firstMs + ms) };
          });
          const workspaceId = await newWorkspace(events);
          for (const { patterns, subject, period, cursor, order, pageSize } of queries) {
            const [after, before] = inOrder(...period);
            const afterSequence = Math.floor(cursor * events.length);
            const left = events.filter(
              (event) =>
                event.sequence > afterSequence &&
                (patterns.length === 0 || patterns.some((one) => isMatch(one, event.type))) &&
                (subject === undefined || event.subject === subject) &&
                (after === undefined || event.ms * 1e6 > after.ms * 1e6 + after.nanos) &&
                (before === undefined || event.ms * 1e6 < before.ms * 1e6 + before.nanos),
            );
            const expected = left.map(({ sequence }) => sequence);
            const listed = await allOf({
              workspaceId,
              typePatterns: patterns,
              ...(subject && { subject }),
              ...(after && { createdAfter: at(firstMs + after.ms, after.nanos) }),
              ...(before && { createdBefore: at(firstMs + before.ms, before.nanos) }),
              afterSequence: BigInt(afterSequence),
              order,
              pageSize,
            });
            expect(listed).toEqual(
              order === EventOrder.DESCENDING ? expected.toReversed() : expected,
            );
          }
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);
});
