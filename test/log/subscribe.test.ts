import { connect, constants } from 'node:http2';
import { gzipSync } from 'node:zlib';
import {
  create,
  fromBinary,
  type MessageInitShape,
  toBinary,
  toJsonString,
} from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  SubscribeEventsRequestSchema,
  type SubscribeEventsResponse,
  SubscribeEventsResponseSchema,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { issueApiKey } from '../../src/api-keys/index.ts';
import { refusalOf } from '../support/errors.ts';
import { fillLog, newUuidSql, tearOut } from '../support/filled-log.ts';
import { type GrpcAnswer, sendGrpc } from '../support/grpc-send.ts';
import {
  endStream,
  frame,
  framesOf,
  frameTypes,
  grpcEnvelope,
  grpcFields,
  headersFrame,
  opening,
} from '../support/http2-frames.ts';
import { createLogClient, logWires } from '../support/log-wires.ts';
import { openRawSocket } from '../support/raw-socket.ts';
import { type ServiceProcess, startServiceProcess } from '../support/service-process.ts';
import { startStatementCounter } from '../support/statement-counter.ts';
import { kindsOf, range, sequencesIn, subscribeTo } from '../support/subscriber.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const subscribePath = '/harbor.events.v1.EventsService/SubscribeEvents';

let service: TestService;
/** On the same database, but without patience: a reader may take nothing for 2 seconds. */
let strict: TestService;
/** Another process on the same database. */
let other: ServiceProcess;
let otherClient: ReturnType<typeof createLogClient>;

beforeAll(async () => {
  service = await startTestService();
  strict = await startTestService({ streamStallMs: 2_000 }, service.database);
  other = await startServiceProcess(service.database.url, { LOG_LEVEL: 'info' });
  otherClient = createLogClient({ ...service, baseUrl: other.baseUrl });
});
afterAll(async () => {
  await other.kill('SIGTERM');
  await strict.stop();
  await service.stop();
});

let workspaces = 0;
async function newWorkspace(types: readonly string[] = []): Promise<string> {
  const id = `ws_stream${++workspaces}`;
  await service.app.workspaces.create(id, '');
  await append(id, types);
  return id;
}

/** Creates events of these types, in this order, through the service or another process. */
async function append(
  workspaceId: string,
  types: readonly string[],
  by = createLogClient(service),
) {
  for (let start = 0; start < types.length; start += 500) {
    const chunk = types.slice(start, start + 500);
    const requests = chunk.map((type) => ({ workspaceId, type, payload: { type } }));
    const { results } = await by.batchCreateEvents({ requests });
    expect(results.filter(({ result }) => result.case !== 'created')).toEqual([]);
  }
}
/** A stream over gRPC with headers and a body of the subscriber's own making, read to its end. */
function subscribeByHand(
  request: MessageInitShape<typeof SubscribeEventsRequestSchema>,
  headers: Record<string, string>,
  compress?: (bytes: Uint8Array) => Uint8Array,
): Promise<GrpcAnswer> {
  const message = toBinary(
    SubscribeEventsRequestSchema,
    create(SubscribeEventsRequestSchema, request),
  );
  const envelope = grpcEnvelope(compress?.(message) ?? message);
  if (compress !== undefined) envelope[0] = 1;
  return sendGrpc(service, subscribePath, [envelope], headers);
}

/** The messages in the body of a stream; none of them may be compressed. */
function messagesIn(body: Buffer): SubscribeEventsResponse[] {
  const messages = [];
  for (let at = 0; at < body.length; ) {
    expect(body[at]).toBe(0);
    const end = at + 5 + body.readUInt32BE(at + 1);
    messages.push(fromBinary(SubscribeEventsResponseSchema, body.subarray(at + 5, end)));
    at = end;
  }
  return messages;
}

const many = (count: number, type = 'streamed') => range(1, count).map(() => type);

describe.each(logWires)('over %s', (wire) => {
  const client = () => createLogClient(service, wire);

  test('a stream from the beginning holds what is there, caught_up once, then what is committed', async () => {
    const workspaceId = await newWorkspace(many(1_200));
    const subscriber = subscribeTo(client(), { workspaceId, afterSequence: 0n });
    await subscriber.caughtUp();
    await append(workspaceId, many(3), createLogClient(service));
    const messages = await subscriber.events(1_203);
    expect(sequencesIn(messages)).toEqual(range(1, 1_203));
    expect(messages.map(({ sequence }) => Number(sequence))).toEqual([
      ...range(1, 1_200),
      1_200,
      ...range(1_201, 1_203),
    ]);
    expect(messages[1_200]?.message.case).toBe('caughtUp');
    expect(kindsOf(messages).filter((kind) => kind === 'caughtUp')).toHaveLength(1);
    const listed = await client().listEvents({ workspaceId, pageSize: 1 });
    expect(messages[0]?.message.value).toEqual(listed.events[0]);
    await subscriber.leave();
  });

  test('a stream from a sequence begins with the next one, from now with what comes', async () => {
    const workspaceId = await newWorkspace(many(10));
    const after = subscribeTo(client(), { workspaceId, afterSequence: 7n });
    const now = subscribeTo(client(), { workspaceId });
    const newest = subscribeTo(client(), { workspaceId, afterSequence: 10n });
    const all = [after, now, newest];
    await Promise.all(all.map((one) => one.caughtUp()));
    await append(workspaceId, many(2), createLogClient(service));
    expect(sequencesIn(await after.events(5))).toEqual(range(8, 12));
    expect(sequencesIn(await now.events(2))).toEqual([11, 12]);
    expect(sequencesIn(await newest.events(2))).toEqual([11, 12]);
    expect(kindsOf(now.messages)).toEqual(['caughtUp', 'event', 'event']);
    expect(now.messages[0]?.sequence).toBe(10n);
    await Promise.all(all.map((one) => one.leave()));
  });

  test('an error before the first message is refused like that of any call', async () => {
    const workspaceId = await newWorkspace(many(2));
    const refused = (request: object) => subscribeTo(client(), { workspaceId, ...request }).ended;
    expect(await refused({ afterSequence: 3n })).toMatchObject({
      code: 'OutOfRange',
      reason: 'SEQUENCE_IN_FUTURE',
      metadata: { last_sequence: '2' },
      fields: ['after_sequence'],
    });
    expect(await refused({ afterSequence: -1n })).toMatchObject({
      code: 'InvalidArgument',
      fields: ['after_sequence'],
    });
    expect(await refused({ typePatterns: ['a**'] })).toMatchObject({
      fields: ['type_patterns[0]'],
    });
    expect(await refused({ workspaceId: 'ws_nowhere' })).toMatchObject({
      code: 'NotFound',
      reason: 'WORKSPACE_NOT_FOUND',
    });
  });

  test('an error in the middle of a stream arrives with its details', async () => {
    const workspaceId = await newWorkspace(many(700));
    await tearOut(service.database, workspaceId, 600);
    const subscriber = subscribeTo(client(), { workspaceId, afterSequence: 0n });
    expect(await subscriber.ended).toMatchObject({
      code: 'DataLoss',
      reason: 'LOG_GAP',
      metadata: { workspace_id: workspaceId },
    });
    const sequences = sequencesIn(subscriber.messages);
    expect(sequences.length).toBeGreaterThan(0);
    expect(sequences).toEqual(range(1, sequences.length));
    expect(sequences.length).toBeLessThan(600);
  });
});

describe('the place of a stream', () => {
  test('is told by every message: resuming after any of them misses nothing and repeats nothing', async () => {
    const types = range(1, 30).map((n) => (n % 3 === 0 ? 'wanted' : 'other'));
    const workspaceId = await newWorkspace(types);
    const wanted = range(1, 10).map((n) => n * 3);
    for (const typePatterns of [[], ['wanted'], ['want*']]) {
      const request = { workspaceId, typePatterns };
      const whole = subscribeTo(createLogClient(service), { ...request, afterSequence: 0n });
      const messages = [...(await whole.caughtUp())];
      await whole.leave();
      const expected = typePatterns.length === 0 ? range(1, 30) : wanted;
      expect(sequencesIn(messages)).toEqual(expected);
      expect(messages.at(-1)?.sequence).toBe(30n);
      for (const { sequence } of messages) {
        const rest = subscribeTo(createLogClient(service), { ...request, afterSequence: sequence });
        const got = sequencesIn(await rest.caughtUp());
        await rest.leave();
        expect(got).toEqual(expected.filter((one) => one > Number(sequence)));
      }
    }
  });

  test('stays whole over a stream that is cut at random while others write', async () => {
    const workspaceId = await newWorkspace();
    let done = false;
    const writing = (async () => {
      for (let round = 0; round < 40; round++) {
        await append(workspaceId, many(25), round % 2 === 0 ? otherClient : undefined);
      }
      done = true;
    })();
    const got: number[] = [];
    let afterSequence = 0n;
    for (let turn = 1; !done || got.length < 1_000; turn++) {
      const subscriber = subscribeTo(createLogClient(service), { workspaceId, afterSequence });
      const cutAt = Math.min(turn * 7, 1_000 - got.length);
      await subscriber.events(cutAt);
      await subscriber.leave();
      got.push(...sequencesIn(subscriber.messages));
      afterSequence = subscriber.messages.at(-1)?.sequence ?? afterSequence;
      if (got.length === 1_000) break;
    }
    await writing;
    expect(got).toEqual(range(1, 1_000));
  });
});

describe('type patterns', () => {
  test.each([
    [['a.x'], [1, 6]],
    [['a.*'], [1, 2, 6, 7]],
    [
      ['a.*', 'c'],
      [1, 2, 4, 6, 7, 9],
    ],
    [['*'], range(1, 10)],
    [['c', '*'], range(1, 10)],
    [['nothing*'], []],
  ])(
    '%j leave what they match, of what is there and of what comes',
    async (typePatterns, expected) => {
      const types = ['a.x', 'a.y', 'b', 'c', 'd'];
      const workspaceId = await newWorkspace(types);
      const client = createLogClient(service);
      const subscriber = subscribeTo(client, { workspaceId, typePatterns, afterSequence: 0n });
      const messages = await subscriber.caughtUp();
      expect(sequencesIn(messages)).toEqual(expected.filter((sequence) => sequence <= 5));
      expect(messages.at(-1)?.sequence).toBe(5n);
      await append(workspaceId, types);
      await subscriber.events(expected.length);
      expect(sequencesIn(subscriber.messages)).toEqual(expected);
      await subscriber.leave();
    },
  );

  test('more than 32 types behind a prefix are streamed from the beginning', async () => {
    const types = range(1, 40).flatMap((n) => [`kind.${n}`, 'other']);
    const workspaceId = await newWorkspace(types);
    const request = { workspaceId, typePatterns: ['kind.*'], afterSequence: 0n };
    const subscriber = subscribeTo(createLogClient(service), request);
    expect(sequencesIn(await subscriber.caughtUp())).toEqual(range(1, 40).map((n) => n * 2 - 1));
    await subscriber.leave();
  });

  test('of a restricted API key are those of its streams, and none beyond them is allowed', async () => {
    const workspaceId = await newWorkspace(['invoice.paid', 'order.placed', 'invoice.sent']);
    const secretKey = await service.issueKey({
      scopes: ['events:read'],
      workspaceIds: [workspaceId],
      typePatterns: ['invoice.*'],
    });
    const client = createLogClient({ ...service, secretKey });
    const subscriber = subscribeTo(client, { workspaceId, afterSequence: 0n });
    expect(sequencesIn(await subscriber.caughtUp())).toEqual([1, 3]);
    await append(workspaceId, ['order.placed', 'invoice.void']);
    expect(sequencesIn(await subscriber.events(3))).toEqual([1, 3, 5]);
    await subscriber.leave();
    const beyond = subscribeTo(client, { workspaceId, typePatterns: ['order.*'] });
    expect(await beyond.ended).toMatchObject({ reason: 'EVENT_TYPE_NOT_ALLOWED' });
    const elsewhere = subscribeTo(client, { workspaceId: service.workspaceId });
    expect(await elsewhere.ended).toMatchObject({ reason: 'WORKSPACE_NOT_ALLOWED' });
  });
});

describe('between processes', () => {
  const listeners = () =>
    service.database.query<{ pid: number }>(
      `select pid from pg_stat_activity
       where datname = current_database() and query = 'listen harbor_commits'`,
    );

  test('events of another process arrive, in both directions', async () => {
    const workspaceId = await newWorkspace();
    const near = subscribeTo(createLogClient(service), { workspaceId, afterSequence: 0n });
    const far = subscribeTo(otherClient, { workspaceId, afterSequence: 0n });
    await Promise.all([near.caughtUp(), far.caughtUp()]);
    for (let round = 0; round < 10; round++) {
      await append(workspaceId, many(5), otherClient);
      await append(workspaceId, many(5));
    }
    expect(sequencesIn(await near.events(100))).toEqual(range(1, 100));
    expect(sequencesIn(await far.events(100))).toEqual(range(1, 100));
    await Promise.all([near.leave(), far.leave()]);
  });

  test('an event that no notice told of is found by the poll', async () => {
    const workspaceId = await newWorkspace(['first']);
    const subscriber = subscribeTo(createLogClient(service), { workspaceId, afterSequence: 0n });
    await subscriber.caughtUp();
    await fillLog(service.database, workspaceId, [{ type: 'silent' }]);
    expect(sequencesIn(await subscriber.events(2))).toEqual([1, 2]);
    await subscriber.leave();
  });

  test('a listener that is cut off comes back, and no event is missed meanwhile', async () => {
    const workspaceId = await newWorkspace();
    const subscriber = subscribeTo(createLogClient(service), { workspaceId, afterSequence: 0n });
    await subscriber.caughtUp();
    await expect.poll(listeners).toHaveLength(3);
    const cut = await listeners();
    await service.database.query('select pg_terminate_backend(pid) from unnest($1::int[]) as pid', [
      cut.map(({ pid }) => pid),
    ]);
    await append(workspaceId, many(3), otherClient);
    expect(sequencesIn(await subscriber.events(3))).toEqual([1, 2, 3]);
    await expect
      .poll(
        async () => (await listeners()).filter(({ pid }) => !cut.some((one) => one.pid === pid)),
        {
          timeout: 5_000,
        },
      )
      .toHaveLength(3);
    await append(workspaceId, many(3), otherClient);
    expect(sequencesIn(await subscriber.events(6))).toEqual(range(1, 6));
    await subscriber.leave();
  });
});

describe.concurrent('with time', () => {
  test('a stream that has nothing to say sends a heartbeat after 15 seconds, with its place', async ({
    expect,
  }) => {
    const workspaceId = await newWorkspace(many(4));
    const request = { workspaceId, typePatterns: ['rare'] };
    const subscriber = subscribeTo(createLogClient(service), request);
    await subscriber.caughtUp();
    const startedAt = performance.now();
    await append(workspaceId, many(2));
    const messages = await subscriber.until((all) =>
      all.some(({ message }) => message.case === 'heartbeat'),
    );
    const elapsedMs = performance.now() - startedAt;
    expect(messages.map(({ message, sequence }) => [message.case, Number(sequence)])).toEqual([
      ['caughtUp', 4],
      ['heartbeat', 6],
    ]);
    expect(elapsedMs).toBeGreaterThan(14_000);
    expect(elapsedMs).toBeLessThan(17_000);
    await subscriber.leave();
  });

  test.for(['grpc', 'connect json http/1.1'] as const)(
    'a revoked key ends its streams over %s within 5 seconds, and no other',
    async (wire, { expect }) => {
      const workspaceId = await newWorkspace();
      const { apiKey, secret } = await issueApiKey(service.app.apiKeys, {
        kind: 'restricted',
        displayName: '',
        scopes: ['events:read'],
        workspaceIds: [],
        typePatterns: [],
        expiresAt: undefined,
      });
      const revoked = createLogClient({ ...service, secretKey: secret }, wire);
      const streams = range(1, 3).map(() => subscribeTo(revoked, { workspaceId }));
      const kept = subscribeTo(createLogClient(service, wire), { workspaceId });
      await Promise.all([...streams, kept].map((one) => one.caughtUp()));
      await service.app.apiKeys.revoke(apiKey.id);
      const startedAt = performance.now();
      const ends = await Promise.all(streams.map(({ ended }) => ended));
      expect(performance.now() - startedAt).toBeLessThan(5_000);
      expect(ends.map(({ code, reason }) => [code, reason])).toEqual(
        streams.map(() => ['Unauthenticated', 'API_KEY_INVALID']),
      );
      await append(workspaceId, ['after']);
      expect(sequencesIn(await kept.events(1))).toEqual([1]);
      await kept.leave();
    },
  );

  test('a key that expires ends its streams within 5 seconds', async ({ expect }) => {
    const workspaceId = await newWorkspace();
    const expiresAt = new Date(Date.now() + 2_000);
    const secretKey = await service.issueKey({ scopes: ['events:read'], expiresAt });
    const client = createLogClient({ ...service, secretKey });
    const subscriber = subscribeTo(client, { workspaceId });
    await subscriber.caughtUp();
    expect(await subscriber.ended).toMatchObject({ reason: 'API_KEY_INVALID' });
    expect(Date.now() - expiresAt.getTime()).toBeGreaterThanOrEqual(0);
    expect(Date.now() - expiresAt.getTime()).toBeLessThan(5_000);
    expect(await refusalOf(client.listEvents({ workspaceId }))).toMatchObject({
      reason: 'API_KEY_INVALID',
    });
  });

  test('a stream that was given a time to end at ends then, with DEADLINE_EXCEEDED', async ({
    expect,
  }) => {
    const workspaceId = await newWorkspace(['before']);
    const answer = await subscribeByHand({ workspaceId }, { 'grpc-timeout': '300m' });
    const [first, ...more] = messagesIn(answer.body);
    expect(answer.headers).toMatchObject({ 'grpc-status': '4' });
    expect(first?.message.case).toBe('caughtUp');
    expect(more).toEqual([]);
    await expect
      .poll(() => service.logLines.filter((line) => line.reason === 'DEADLINE_EXCEEDED'))
      .toHaveLength(1);
  });

  test('SIGTERM ends streams with UNAVAILABLE and RetryInfo, and the process exits 0 at once', async ({
    expect,
  }) => {
    const workspaceId = await newWorkspace(many(3));
    const victim = await startServiceProcess(service.database.url);
    const streams = logWires.map((wire) =>
      subscribeTo(createLogClient({ ...service, baseUrl: victim.baseUrl }, wire), {
        workspaceId,
        afterSequence: 0n,
      }),
    );
    await Promise.all(streams.map((one) => one.caughtUp()));
    victim.child.kill('SIGTERM');
    const startedAt = performance.now();
    const ends = await Promise.all(streams.map(({ ended }) => ended));
    expect(ends.map(({ code, reason, retryable }) => [code, reason, retryable])).toEqual(
      streams.map(() => ['Unavailable', 'SHUTTING_DOWN', true]),
    );
    expect(await victim.ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(streams.map(({ messages }) => sequencesIn(messages))).toEqual(
      streams.map(() => [1, 2, 3]),
    );
  });

  test('SIGTERM is not held up by a subscriber that does not read', async ({ expect }) => {
    const workspaceId = await newWorkspace();
    await fillLarge(workspaceId, 4);
    const victim = await startServiceProcess(service.database.url);
    const { port } = new URL(victim.baseUrl);
    const deaf = await openHttp2Subscriber(workspaceId, { host: '127.0.0.1', port: Number(port) });
    const isBlocked = () => framesOf(deaf).some(({ type }) => type === frameTypes.data);
    await expect.poll(isBlocked, { timeout: 10_000 }).toBe(true);
    victim.child.kill('SIGTERM');
    const startedAt = performance.now();
    expect(await victim.ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - startedAt).toBeLessThan(25_000);
    deaf.destroy();
  });
});

describe('a gap in the log', () => {
  const fatalLinesOf = (workspaceId: string) =>
    service.logLines.filter(
      ({ level, cause }) => level === 60 && JSON.stringify(cause).includes(`of ${workspaceId} `),
    );
  const gapIn = (workspaceId: string, after: number) => ({
    code: 'DataLoss',
    reason: 'LOG_GAP',
    metadata: { workspace_id: workspaceId, after_sequence: `${after}` },
  });

  test('that is met while following ends every stream, and is a fatal line', async () => {
    const workspaceId = await newWorkspace(many(2));
    const streams = range(1, 3).map(() =>
      subscribeTo(createLogClient(service), { workspaceId, afterSequence: 0n }),
    );
    await Promise.all(streams.map((one) => one.caughtUp()));
    const client = await service.database.connect();
    await client.query('begin');
    await client.query('alter table events disable trigger all');
    await client.query(
      `with grown as (update workspaces set last_sequence = 5 where id = $1 returning id)
       insert into events select ${newUuidSql}, id, n, 'late', '{}', 2, now()
       from grown, unnest('{3,5}'::int[]) as n`,
      [workspaceId],
    );
    await client.query('alter table events enable trigger all');
    await client.query('commit');
    await client.end();
    const ends = await Promise.all(streams.map(({ ended }) => ended));
    for (const end of ends) expect(end).toMatchObject({ code: 'DataLoss', reason: 'LOG_GAP' });
    const late = streams.flatMap(({ messages }) => sequencesIn(messages).filter((one) => one > 3));
    expect(late).toEqual([]);
    expect(fatalLinesOf(workspaceId).length).toBeGreaterThan(0);
  });

  test('that is met while catching up ends the stream where it is, and is a fatal line', async () => {
    const workspaceId = await newWorkspace(many(700));
    await tearOut(service.database, workspaceId, 600);
    const request = { workspaceId, afterSequence: 0n };
    const subscriber = subscribeTo(createLogClient(service), request);
    expect(await subscriber.ended).toMatchObject(gapIn(workspaceId, 599));
    // Of the chunks of 500, the one without the gap.
    expect(sequencesIn(subscriber.messages)).toEqual(range(1, 500));
    expect(fatalLinesOf(workspaceId).length).toBeGreaterThan(0);
  });

  test('at the end of the log ends the stream, and is a fatal line', async () => {
    const workspaceId = await newWorkspace(many(5));
    await tearOut(service.database, workspaceId, 5);
    const request = { workspaceId, afterSequence: 0n };
    const subscriber = subscribeTo(createLogClient(service), request);
    expect(await subscriber.ended).toMatchObject(gapIn(workspaceId, 4));
    expect(sequencesIn(subscriber.messages)).toEqual([1, 2, 3, 4]);
    expect(fatalLinesOf(workspaceId).length).toBeGreaterThan(0);
  });

  test('at the end of the log is met by those who follow, too', async () => {
    const workspaceId = await newWorkspace(many(2));
    const request = { workspaceId, afterSequence: 0n };
    const subscriber = subscribeTo(createLogClient(service), request);
    await subscriber.caughtUp();
    await service.database.query('update workspaces set last_sequence = 3 where id = $1', [
      workspaceId,
    ]);
    expect(await subscriber.ended).toMatchObject(gapIn(workspaceId, 2));
    expect(fatalLinesOf(workspaceId).length).toBeGreaterThan(0);
  });

  test('before the place of a stream does not concern it', async () => {
    const workspaceId = await newWorkspace(many(5));
    await tearOut(service.database, workspaceId, 2);
    const request = { workspaceId, afterSequence: 2n };
    const subscriber = subscribeTo(createLogClient(service), request);
    expect(sequencesIn(await subscriber.caughtUp())).toEqual([3, 4, 5]);
    await subscriber.leave();
  });
});

/** Appends events of 256 KB. */
async function fillLarge(workspaceId: string, count: number): Promise<void> {
  const payload = { text: 'x'.repeat(262_000) };
  await fillLog(
    service.database,
    workspaceId,
    range(1, count).map(() => ({ type: 'large', payload })),
  );
}

const subscription = (workspaceId: string) =>
  create(SubscribeEventsRequestSchema, { workspaceId, afterSequence: 0n });

/** Subscribes over gRPC with HTTP/2 written by hand: what it does not grant a window for stays unsent. */
async function openHttp2Subscriber(
  workspaceId: string,
  to: { host: string; port: number } = strict,
  requestId = 'deaf-http2',
) {
  const socket = await openRawSocket(to);
  const { secretKey } = service;
  const message = toBinary(SubscribeEventsRequestSchema, subscription(workspaceId));
  const fields: [string, string][] = [
    ...grpcFields(subscribePath, { secretKey }),
    ['x-request-id', requestId],
  ];
  socket.write(opening);
  socket.write(headersFrame(1, fields));
  socket.write(frame(frameTypes.data, endStream, 1, grpcEnvelope(message)));
  return socket;
}

describe('a subscriber that does not read', () => {
  const lineOf = async (requestId: string) => {
    const lines = () => strict.logLines.filter(({ request_id }) => request_id === requestId);
    await expect.poll(() => lines().length, { timeout: 10_000 }).toBe(1);
    return lines()[0];
  };

  test('over HTTP/2 is reset with ENHANCE_YOUR_CALM, while another one gets everything', async () => {
    const workspaceId = await newWorkspace();
    await fillLarge(workspaceId, 20);
    const deaf = await openHttp2Subscriber(workspaceId);
    const good = subscribeTo(createLogClient(strict), { workspaceId, afterSequence: 0n });
    expect(sequencesIn(await good.events(20))).toEqual(range(1, 20));
    expect(await lineOf('deaf-http2')).toMatchObject({
      code: 'resource_exhausted',
      reason: 'SUBSCRIBER_TOO_SLOW',
    });
    const resets = () => framesOf(deaf).filter(({ type }) => type === frameTypes.reset);
    await expect.poll(() => resets().map(({ payload }) => payload.readUInt32BE())).toEqual([0xb]);
    await append(workspaceId, ['after']);
    expect(sequencesIn(await good.events(21))).toEqual(range(1, 21));
    deaf.destroy();
    await good.leave();
  });

  test('is reset without harm to a busy stream on the same connection', async () => {
    const workspaceId = await newWorkspace();
    await fillLarge(workspaceId, 3);
    const session = connect(strict.baseUrl);
    const open = (requestId: string) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': subscribePath,
        'content-type': 'application/grpc+proto',
        te: 'trailers',
        authorization: `Bearer ${service.secretKey}`,
        'x-request-id': requestId,
      });
      stream.on('error', () => undefined);
      const request = toBinary(SubscribeEventsRequestSchema, subscription(workspaceId));
      stream.end(grpcEnvelope(request));
      return stream;
    };
    const deaf = open('deaf-shared');
    let received = 0;
    const busy = open('busy-shared');
    busy.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    let isCut = false;
    const writing = (async () => {
      while (!isCut) await fillLarge(workspaceId, 1);
    })();
    expect((await lineOf('deaf-shared'))?.reason).toBe('SUBSCRIBER_TOO_SLOW');
    isCut = true;
    await writing;
    const [counter] = await service.database.query<{ last: string }>(
      'select last_sequence as last from workspaces where id = $1',
      [workspaceId],
    );
    await expect
      .poll(() => received, { timeout: 10_000 })
      .toBeGreaterThan(Number(counter?.last) * 262_000);
    expect([busy.destroyed, deaf.readableFlowing]).toEqual([false, null]);
    session.destroy();
  });

  test('but leaves, with a reset that is no error, is gone at once', async () => {
    const workspaceId = await newWorkspace();
    await fillLarge(workspaceId, 2);
    const session = connect(service.baseUrl);
    const leaving = session.request({
      ':path': `/v1/events/stream?workspace_id=${workspaceId}&after_sequence=0`,
      authorization: `Bearer ${service.secretKey}`,
      'x-request-id': 'left-http2',
    });
    // All that its window allows.
    await expect.poll(() => leaving.readableLength).toBe(65_535);
    leaving.close(constants.NGHTTP2_NO_ERROR);
    const line = () => service.logLines.find(({ request_id }) => request_id === 'left-http2');
    await expect.poll(line, { timeout: 5_000 }).toMatchObject({ status: 200 });
    session.destroy();
  });

  test('over HTTP/1.1 is cut off, while another one gets everything', async () => {
    const workspaceId = await newWorkspace();
    // More than the buffers of both kernels hold.
    await fillLarge(workspaceId, 80);
    const message = toJsonString(SubscribeEventsRequestSchema, subscription(workspaceId));
    const body = grpcEnvelope(Buffer.from(message));
    const deaf = await openRawSocket(strict);
    deaf.socket.pause();
    deaf.write(
      [
        `POST ${subscribePath} HTTP/1.1`,
        'host: localhost',
        'content-type: application/connect+json',
        'connect-protocol-version: 1',
        `authorization: Bearer ${service.secretKey}`,
        'x-request-id: deaf-http1',
        `content-length: ${body.length}`,
        '\r\n',
      ].join('\r\n'),
    );
    deaf.write(body);
    const wire = 'connect json http/1.1';
    const good = subscribeTo(createLogClient(strict, wire), { workspaceId, afterSequence: 0n });
    expect(sequencesIn(await good.events(80))).toEqual(range(1, 80));
    expect(await lineOf('deaf-http1')).toMatchObject({
      code: 'resource_exhausted',
      reason: 'SUBSCRIBER_TOO_SLOW',
    });
    deaf.socket.resume();
    await deaf.ended();
    await append(workspaceId, ['after']);
    expect(sequencesIn(await good.events(81))).toEqual(range(1, 81));
    await good.leave();
  });

  test('fast enough, but does read, gets everything', async () => {
    const workspaceId = await newWorkspace();
    const payload = { list: Array(130_000).fill(1) };
    await fillLog(service.database, workspaceId, [{ type: 'large', payload }]);
    const slow = await openHttp2Subscriber(workspaceId, strict, 'slow-http2');
    const expected = toBinary(
      SubscribeEventsResponseSchema,
      await firstMessageOf(workspaceId),
    ).length;
    // 16 KB twenty times a second: the 1.4 MB take twice as long as a stall may.
    const window = (streamId: number) => {
      const payload = Buffer.alloc(4);
      payload.writeUInt32BE(16 * 1024);
      return frame(8, 0, streamId, payload);
    };
    const reading = setInterval(() => slow.write(Buffer.concat([window(0), window(1)])), 50);
    const received = () =>
      framesOf(slow)
        .filter(({ type }) => type === frameTypes.data)
        .reduce((bytes, { payload }) => bytes + payload.length, 0);
    await expect.poll(received, { timeout: 20_000 }).toBeGreaterThan(expected);
    clearInterval(reading);
    const resets = framesOf(slow).filter(({ type }) => type === frameTypes.reset);
    expect(resets).toEqual([]);
    slow.destroy();
    expect((await lineOf('slow-http2'))?.reason).not.toBe('SUBSCRIBER_TOO_SLOW');
  });

  async function firstMessageOf(workspaceId: string) {
    const subscriber = subscribeTo(createLogClient(strict), { workspaceId, afterSequence: 0n });
    const [first] = await subscriber.events(1);
    await subscriber.leave();
    return first as NonNullable<typeof first>;
  }
});

test('a stream is sent plain, whatever compression its subscriber offers or has used', async () => {
  const workspaceId = await newWorkspace();
  const text = 'compressible '.repeat(1_000);
  await createLogClient(service).createEvent({ workspaceId, type: 'large', payload: { text } });
  const answer = await subscribeByHand(
    { workspaceId, afterSequence: 0n },
    { 'grpc-timeout': '300m', 'grpc-encoding': 'gzip', 'grpc-accept-encoding': 'gzip,br' },
    gzipSync,
  );
  expect(answer.headers).not.toHaveProperty('grpc-encoding');
  const [first, second] = messagesIn(answer.body);
  expect(first?.message).toMatchObject({ case: 'event', value: { payload: { text } } });
  expect(second?.message.case).toBe('caughtUp');
});

describe('a request for a stream', () => {
  const envelopeOf = (request: MessageInitShape<typeof SubscribeEventsRequestSchema>) =>
    grpcEnvelope(
      toBinary(SubscribeEventsRequestSchema, create(SubscribeEventsRequestSchema, request)),
    );
  const good = envelopeOf({ workspaceId: 'ws_nowhere' });
  const flagged = Buffer.concat([Buffer.from([1]), good.subarray(1)]);

  test.each([
    ['without a message', [], '12', /expected one message, received 0/],
    ['with two messages', [good, good], '12', /expected one message, received 2/],
    ['with half a message', [good.subarray(0, 9)], '3', /incomplete/],
    ['with a compression that nobody announced', [flagged], '13', /no encoding/],
    ['that is no message of protobuf', [grpcEnvelope(Buffer.from([0xff]))], '3', /parse binary/],
    ['of a workspace that is not there', [good], '5', /ws_nowhere/],
  ])('%s is refused, and says why', async (_what, body, status, text) => {
    const answer = await sendGrpc(service, subscribePath, body);
    expect(answer.headers).toMatchObject({ ':status': 200, 'grpc-status': status });
    expect(answer.headers['grpc-message']).toMatch(text);
    expect(answer.headers).toHaveProperty('grpc-status-details-bin');
  });

  test.each([
    [{ 'grpc-timeout': '9S' }, '5', /ws_nowhere/],
    [{ 'grpc-timeout': '20M' }, '3', /timeout/],
    [{ 'grpc-timeout': 'soon' }, '3', /timeout/],
    [{ 'grpc-encoding': 'zip' }, '12', /zip/],
    [{ 'content-type': 'application/grpc+proto', authorization: 'Bearer none' }, '16', /API key/],
  ])('with the headers %o is refused by the rules of any call', async (headers, status, text) => {
    const answer = await sendGrpc(service, subscribePath, [good], headers);
    expect(answer.headers).toMatchObject({ 'grpc-status': status });
    expect(decodeURIComponent(`${answer.headers['grpc-message']}`)).toMatch(text);
  });

  test('of a content type that is not spoken is refused with 415', async () => {
    for (const type of ['application/connect', 'application/grpc+xml', 'text/plain', '']) {
      const answer = await sendGrpc(service, subscribePath, [good], { 'content-type': type });
      expect([type, answer.httpStatus]).toEqual([type, 415]);
    }
  });
});

describe('many subscribers', () => {
  test('of one workspace all get every event and cost the queries of one', async () => {
    const database = await createTestDatabase();
    const counter = await startStatementCounter(database.url);
    const counted = await startTestService({}, { ...database, url: counter.url });
    const { workspaceId } = counted;
    // An HTTP/2 connection carries 128 streams.
    const clients = range(1, 4).map(() => createLogClient(counted));
    const subscribers = range(0, 199).map((n) =>
      subscribeTo(clients[n % 4] as (typeof clients)[number], { workspaceId }),
    );
    await Promise.all(subscribers.map((one) => one.caughtUp()));
    const readsBefore = counter.count('harbor_list_asc');
    const writer = createLogClient(counted);
    for (const type of many(50)) {
      await writer.createEvent({ workspaceId, type, payload: {} });
    }
    const got = await Promise.all(subscribers.map((one) => one.events(50)));
    expect(got.filter((messages) => sequencesIn(messages).join() !== range(1, 50).join())).toEqual(
      [],
    );
    // At most a read that finds each event and one that finds the end.
    expect(counter.count('harbor_list_asc') - readsBefore).toBeLessThanOrEqual(110);

    // While somebody follows, the poll asks once a second, and once everybody has left never again.
    const polls = () => counter.count('harbor_log_ends');
    const sweeps = () => counter.count('harbor_sweep_keys');
    const pollsWhileFollowed = polls();
    await expect.poll(polls, { timeout: 5_000 }).toBeGreaterThan(pollsWhileFollowed + 1);
    await Promise.all(subscribers.map((one) => one.leave()));
    const sweepsWhenLeft = sweeps();
    await expect.poll(sweeps, { timeout: 5_000 }).toBeGreaterThan(sweepsWhenLeft + 1);
    const pollsWhenLeft = polls();
    const keyChecksWhenLeft = counter.count('harbor_find_ended_keys');
    await expect.poll(sweeps, { timeout: 10_000 }).toBeGreaterThan(sweepsWhenLeft + 5);
    expect(polls()).toBe(pollsWhenLeft);
    expect(counter.count('harbor_find_ended_keys')).toBe(keyChecksWhenLeft);
    await counted.stop();
    await counter.stop();
    await database.drop();
  });

  test('that catch up side by side get every event', async () => {
    const workspaceId = await newWorkspace();
    await fillLog(
      service.database,
      workspaceId,
      many(3_000).map((type) => ({ type })),
    );
    const streams = range(0, 29).map((n) =>
      subscribeTo(createLogClient(service, logWires[n % logWires.length]), {
        workspaceId,
        afterSequence: BigInt(n * 37),
      }),
    );
    const got = await Promise.all(streams.map((one) => one.caughtUp()));
    expect(got.map((messages) => sequencesIn(messages).length)).toEqual(
      range(0, 29).map((n) => 3_000 - n * 37),
    );
    await Promise.all(streams.map((one) => one.leave()));
  });

  test('whose requests were large leave room for the bodies of others', async () => {
    const workspaceId = await newWorkspace();
    // Together as much as the bodies that are being received may be.
    const padding = ' '.repeat(2 * 1024 * 1024 - 200);
    const body = grpcEnvelope(Buffer.from(`${JSON.stringify({ workspaceId })}${padding}`));
    const leave = new AbortController();
    for (let opened = 0; opened < 130; opened++) {
      const response = await fetch(service.baseUrl + subscribePath, {
        method: 'POST',
        headers: {
          'content-type': 'application/connect+json',
          authorization: `Bearer ${service.secretKey}`,
        },
        body,
        signal: leave.signal,
      });
      // Its first bytes say that it was opened.
      const first = await response.body?.getReader().read();
      expect(Buffer.from(first?.value ?? []).toString()).toContain('caughtUp');
    }
    await append(workspaceId, ['small']);
    leave.abort();
  });

  test('do not keep unary calls out', async () => {
    const workspaceId = await newWorkspace();
    const clients = range(1, 20).map(() => createLogClient(service));
    const streams = range(0, 2_099).map((n) =>
      subscribeTo(clients[n % 20] as (typeof clients)[number], { workspaceId }),
    );
    await Promise.all(streams.map((one) => one.caughtUp()));
    await append(workspaceId, ['for everybody']);
    await Promise.all(streams.map((one) => one.events(1)));
    await Promise.all(streams.map((one) => one.leave()));
  });
});
