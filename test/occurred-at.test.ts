import { timestampDate } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Harbor } from '../sdk/src/index.ts';
import { createEventsClient } from './support/clients.ts';
import { connectPost, createEventPath, refusalIn } from './support/connect-post.ts';
import { refusalOf } from './support/errors.ts';
import { problemOf, sendRequest } from './support/http-request.ts';
import { readEverywhere } from './support/read-everywhere.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const baseOf = () => ({ workspaceId: service.workspaceId, type: 'occurred', payload: {} });

const secondsMin = -62_135_596_800n;
const secondsMax = 253_402_300_799n;

describe.each(['grpc', 'connect binary'] as const)('a time of occurrence over %s', (wire) => {
  const create = (occurredAt: { seconds: bigint; nanos: number }) =>
    createEventsClient(service, wire).createEvent({ ...baseOf(), occurredAt });

  test.each<[string, { seconds: bigint; nanos: number }, number]>([
    ['the first of the year 1', { seconds: secondsMin, nanos: 0 }, 0],
    ['the last of the year 9999', { seconds: secondsMax, nanos: 999_999_999 }, 999_999_000],
    ['the beginning of 1970', { seconds: 0n, nanos: 0 }, 0],
    ['a microsecond before 1970', { seconds: -1n, nanos: 999_999_000 }, 999_999_000],
    ['a nanosecond before 1970', { seconds: -1n, nanos: 999_999_999 }, 999_999_000],
    ['less than a microsecond', { seconds: 5n, nanos: 999 }, 0],
    ['hardly a microsecond more', { seconds: 5n, nanos: 1_999 }, 1_000],
  ])('is kept to the microsecond, rounded down: %s', async (_, time, nanos) => {
    const { event } = await create(time);
    if (event === undefined) throw new Error('the create answers no event');
    const expected = { seconds: time.seconds, nanos };
    expect(event.occurredAt).toMatchObject(expected);
    for (const one of await readEverywhere(service, event))
      expect(one.occurredAt).toMatchObject(expected);
  });

  test.each([
    { seconds: secondsMin - 1n, nanos: 999_999_999 },
    { seconds: secondsMax + 1n, nanos: 0 },
    { seconds: 9_223_372_036_854_775_807n, nanos: 0 },
    { seconds: -9_223_372_036_854_775_808n, nanos: 0 },
    { seconds: 0n, nanos: -1 },
    { seconds: 0n, nanos: 1_000_000_000 },
    { seconds: 0n, nanos: 2_147_483_647 },
    { seconds: secondsMax, nanos: 1_000_000_000 },
  ])('is refused beyond that: %o', async (time) => {
    expect(await refusalOf(create(time))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['occurred_at'],
    });
  });

  test('that is none is an error of its item in a batch', async () => {
    const impossible = { seconds: 0n, nanos: -1 };
    const { results } = await createEventsClient(service, wire).batchCreateEvents({
      requests: [baseOf(), { ...baseOf(), occurredAt: impossible }],
    });
    expect(results.map(({ result }) => result.case)).toEqual(['created', 'error']);
    expect(results[1]?.result.value).toMatchObject({
      reason: 'INVALID_REQUEST',
      fieldViolations: [{ field: 'occurred_at' }],
    });
  });
});

const badTimes = [
  '2026-02-30T00:00:00Z',
  '1900-02-29T00:00:00Z',
  '2026-01-01T24:00:00Z',
  '2026-01-01T12:00:60Z',
  '0000-12-31T23:59:59Z',
  '0001-01-01T00:00:00+00:01',
  '9999-12-31T23:59:59-00:01',
  '10000-01-01T00:00:00Z',
  '2026-01-01',
  'soon',
  '',
];

describe('a time of occurrence in JSON', () => {
  const rest = (time: string) => {
    const { workspaceId, ...base } = baseOf();
    const body = { workspace_id: workspaceId, ...base, occurred_at: time };
    return sendRequest(service, '/v1/events', { body });
  };

  test.each(badTimes)('is refused as %j, which is none', async (time) => {
    const body = JSON.stringify({ ...baseOf(), occurredAt: time });
    expect(await refusalIn(await connectPost(service, createEventPath, body))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['occurred_at'],
    });
    expect(problemOf(await rest(time))).toMatchObject({
      status: 400,
      reason: 'INVALID_REQUEST',
      violations: [{ field: 'occurred_at' }],
    });
  });

  test.each([
    ['2026-05-25T12:00:00.123456789Z', '2026-05-25T12:00:00.123456Z'],
    ['2026-05-25T12:00:00.5+02:00', '2026-05-25T10:00:00.500Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'],
    ['9999-12-31T23:59:59.999999999Z', '9999-12-31T23:59:59.999999Z'],
  ])('is %s and comes back as %s', async (given, kept) => {
    const answer = await rest(given);
    expect(answer.status).toBe(201);
    const event = JSON.parse(answer.text);
    expect(event.occurred_at).toBe(kept);
    const found = await sendRequest(service, `/v1/events/${event.id}`);
    expect(found.text).toBe(answer.text);
  });

  test('is looked for where the request has it, however its name is written', async () => {
    const escaped = JSON.stringify({ ...baseOf(), occurredAt: '2026-02-30T00:00:00Z' });
    for (const body of [
      escaped.replace('occurredAt', 'occurr\\u0065dAt'),
      escaped.replace('occurredAt', 'occurred\\u005fat'),
      escaped.replace('02-30', '02\\u002d30'),
    ]) {
      expect(await refusalIn(await connectPost(service, createEventPath, body))).toMatchObject({
        fields: ['occurred_at'],
      });
    }
  });

  test('is one of its own in each item of a batch', async () => {
    const requests = [baseOf(), { ...baseOf(), occurred_at: '2026-06-31T00:00:00Z' }];
    const path = '/harbor.events.v1.EventsService/BatchCreateEvents';
    const answer = await connectPost(service, path, JSON.stringify({ requests }));
    expect(await refusalIn(answer)).toMatchObject({ fields: ['requests[1].occurred_at'] });
  });

  test('is found among thousands of those that a payload holds under the name', async () => {
    const payload = { list: Array(2_000).fill({ occurred_at: '2026-05-25T12:00:00Z' }) };
    const body = JSON.stringify({ ...baseOf(), payload, occurred_at: '2026-05-32T12:00:00Z' });
    expect(await refusalIn(await connectPost(service, createEventPath, body))).toMatchObject({
      fields: ['occurred_at'],
    });
    const good = body.replace('05-32', '05-31');
    expect((await connectPost(service, createEventPath, good)).status).toBe(200);
  });

  test('is none of those that a payload or metadata hold under the name', async () => {
    const payload = { occurred_at: 'soon', occurredAt: '2026-02-30T00:00:00Z', list: [{}] };
    const metadata = { occurred_at: 'never' };
    const body = JSON.stringify({ ...baseOf(), payload, metadata });
    const answer = await connectPost(service, createEventPath, body);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text).event).toMatchObject({ payload, metadata });
  });
});

describe('by the SDK', () => {
  const harborOf = ({ baseUrl, secretKey }: TestService) => new Harbor({ baseUrl, secretKey });

  test('keeps the microseconds of a time that is given as text', async () => {
    const occurredAt = '2026-05-25T13:58:03.000125999+02:00';
    const { id } = await harborOf(service).events.create({ ...baseOf(), occurredAt });
    const event = await harborOf(service).events.retrieve(id);
    expect(event.occurredAtExact).toBe('2026-05-25T11:58:03.000125Z');
    expect(event.occurredAt).toEqual(new Date('2026-05-25T11:58:03.000Z'));
  });

  test('refuses times beyond the years 1 to 9999 as the service does', async () => {
    for (const occurredAt of [new Date(8.64e15), new Date(-8.64e15), '0000-06-01T00:00:00Z']) {
      await expect(
        harborOf(service).events.create({ ...baseOf(), occurredAt }),
      ).rejects.toMatchObject({
        reason: 'INVALID_REQUEST',
        violations: [{ field: 'occurredAt' }],
      });
    }
  });
});

test('a time of occurrence has nothing to do with that of the record', async () => {
  const client = createEventsClient(service);
  const before = Date.now() - 60_000;
  const occurredAt = { seconds: 0n, nanos: 1_000 };
  const { event } = await client.createEvent({ ...baseOf(), occurredAt });
  expect(event?.createdAt && timestampDate(event.createdAt).getTime()).toBeGreaterThan(before);
});
