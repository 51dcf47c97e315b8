import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Harbor } from '../sdk/src/index.ts';
import { type Database, openDatabase } from '../src/database/database.ts';
import { appendOwnEvent } from '../src/events/index.ts';
import { createEventsClient, wires } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { problemOf, sendRequest } from './support/http-request.ts';
import { sequencesIn, subscribeTo } from './support/subscriber.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
let database: Database;
beforeAll(async () => {
  service = await startTestService();
  database = await openDatabase({
    url: service.database.url,
    poolSize: 2,
    applicationName: 'test',
    onNotice: () => undefined,
  });
  const client = createEventsClient(service);
  const { workspaceId } = service;
  await client.createEvent({ workspaceId, type: 'invoice.paid', payload: {} });
  await appendOwn('first');
  await client.createEvent({ workspaceId, type: 'harbor', payload: {} });
  await appendOwn('second');
});
afterAll(async () => {
  await database.close();
  await service.stop();
});

const appendOwn = (key: string) =>
  database.inTransaction((tx) =>
    appendOwnEvent(tx, {
      workspaceId: service.workspaceId,
      type: 'harbor.event.tested',
      payload: { key },
      key,
    }),
  );

async function listWith(secretKey: string, typePatterns: string[] = []): Promise<number[]> {
  const { workspaceId } = service;
  const client = createEventsClient({ ...service, secretKey });
  const { events } = await client.listEvents({ workspaceId, typePatterns });
  return events.map(({ sequence }) => Number(sequence));
}

async function streamWith(secretKey: string, typePatterns: string[] = []): Promise<number[]> {
  const { workspaceId } = service;
  const client = createEventsClient({ ...service, secretKey });
  const subscriber = subscribeTo(client, { workspaceId, typePatterns, afterSequence: 0n });
  const messages = await subscriber.caughtUp();
  await subscriber.leave();
  return sequencesIn(messages);
}

describe("the service's own events", () => {
  test.each<[string[], number[]]>([
    [[], [1, 2, 3, 4]],
    [['*'], [1, 2, 3, 4]],
    [['harbor.*'], [2, 4]],
    [['harbor.event.tested'], [2, 4]],
    [['harbor'], [3]],
    [['harbor.event'], []],
  ])('are listed and streamed like any other: %j', async (patterns, expected) => {
    expect(await listWith(service.secretKey, patterns)).toEqual(expected);
    expect(await streamWith(service.secretKey, patterns)).toEqual(expected);
  });

  test('are shown by every answer, without a key that recorded them', async () => {
    const path = `/v1/events?workspace_id=${service.workspaceId}&type_patterns=harbor.*`;
    const [event] = JSON.parse((await sendRequest(service, path)).text).events;
    expect(event).toMatchObject({ type: 'harbor.event.tested', payload: { key: 'first' } });
    expect(event).not.toHaveProperty('api_key_id');
    const { baseUrl, secretKey } = service;
    const found = await new Harbor({ baseUrl, secretKey }).events.retrieve(event.id);
    expect(found).toMatchObject({ type: 'harbor.event.tested', sequence: 2 });
    expect(found).not.toHaveProperty('apiKeyId');
  });

  test.each<[string[], number[]]>([
    [[], [1, 2, 3, 4]],
    [['*'], [1, 2, 3, 4]],
    [['h*'], [2, 3, 4]],
    [['harbor.*'], [2, 4]],
    [
      ['invoice.*', 'harbor'],
      [1, 3],
    ],
    [['harbor.event'], []],
    // As keys of before may have them: a comma or a blank makes no two patterns, and no other one.
    [['harbor,invoice.paid'], []],
    [[' invoice.paid', 'invoice.paid '], []],
    [[','], []],
  ])('are seen by keys whose patterns match them, and by no other: %j', async (patterns, seen) => {
    const secretKey = await service.issueKey({ scopes: ['events:read'], typePatterns: patterns });
    expect(await listWith(secretKey)).toEqual(seen);
    expect(await streamWith(secretKey)).toEqual(seen);
  });

  test('are written by no key, whatever its patterns', async () => {
    for (const typePatterns of [['harbor.*'], ['harbor.event.tested'], ['*'], []]) {
      const secretKey = await service.issueKey({ scopes: ['events:write'], typePatterns });
      const call = createEventsClient({ ...service, secretKey }).createEvent({
        workspaceId: service.workspaceId,
        type: 'harbor.event.tested',
        payload: {},
      });
      expect(await refusalOf(call)).toMatchObject({
        code: 'InvalidArgument',
        reason: 'INVALID_REQUEST',
        fields: ['type'],
        message: expect.stringContaining('must not begin with "harbor."'),
      });
    }
  });
});

const badPatterns = ['', 'a,b', 'a,*', ',', ' a', 'a ', ' ', '\u00a0*', 'a**', '*a', 'a\n*'];

describe.each(wires)('over %s', (wire) => {
  test.each(badPatterns)('the type pattern %j is refused', async (pattern) => {
    const client = createEventsClient(service, wire);
    const request = { workspaceId: service.workspaceId, typePatterns: ['a', pattern] };
    const refusal = { reason: 'INVALID_REQUEST', fields: ['type_patterns[1]'] };
    expect(await refusalOf(client.listEvents(request))).toMatchObject(refusal);
    expect(await subscribeTo(client, request).ended).toMatchObject(refusal);
  });
});

test.each(badPatterns)(
  'the type pattern %j is refused by the SDK, by its name',
  async (pattern) => {
    const { workspaceId, baseUrl, secretKey } = service;
    const { events } = new Harbor({ baseUrl, secretKey });
    for (const name of ['typePatterns', 'types']) {
      const query = { workspaceId, [name]: ['a', pattern] };
      const refusal = { violations: [{ field: `${name}[1]` }] };
      await expect(events.list(query)).rejects.toMatchObject(refusal);
      const subscription = events.subscribe(query)[Symbol.asyncIterator]();
      await expect(subscription.next()).rejects.toMatchObject(refusal);
    }
  },
);

// A comma separates patterns there.
test.each(badPatterns.filter((pattern) => !pattern.includes(',')))(
  'the type pattern %j is refused by REST',
  async (pattern) => {
    for (const name of ['type_patterns', 'types']) {
      for (const path of ['/v1/events', '/v1/events/stream']) {
        const query = new URLSearchParams({
          workspace_id: service.workspaceId,
          [name]: `a,${pattern}`,
        });
        expect(problemOf(await sendRequest(service, `${path}?${query}`))).toMatchObject({
          status: 400,
          violations: [{ field: `${name}[1]` }],
        });
      }
    }
  },
);
