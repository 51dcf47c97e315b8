import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEventsClient } from './support/clients.ts';
import { connectPost, createEventPath, refusalIn } from './support/connect-post.ts';
import { type HttpAnswer, problemOf, sendRequest } from './support/http-request.ts';
import { startTestService, type TestService } from './support/test-service.ts';

/*
 * JSON has integers of any length, and is read as doubles: what a double cannot say would come back as
 * another number, and stand for the same content as that one under an idempotency key.
 */
let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const bodyOf = (payload: string, more = '') =>
  `{"workspace_id":"${service.workspaceId}","type":"counted","payload":${payload}${more}}`;

function restCreate(payload: string, headers = {}): Promise<HttpAnswer> {
  return sendRequest(service, '/v1/events', {
    headers: { 'content-type': 'application/json', ...headers },
    body: bodyOf(payload),
  });
}

/** What gRPC-Web says of a create in JSON, whose numbers no client would write like this. */
async function grpcWebMessage(payload: string): Promise<string> {
  const answer = await sendRequest(service, createEventPath, {
    headers: { 'content-type': 'application/grpc-web+json' },
    body: encodeEnvelope(0, Buffer.from(bodyOf(payload))),
  });
  return decodeURIComponent(/grpc-message: (\S*)/.exec(answer.text)?.[1] ?? '');
}

const inexact = [
  ['{"n":9007199254740993}', 'payload.n'],
  ['{"n":-9007199254740993}', 'payload.n'],
  ['{"a":[1,{"b":12345678901234567890}]}', 'payload.a[1].b'],
  [`{"n":${'7'.repeat(400)}}`, 'payload.n'],
  [`{"n":[0.1,"9007199254740993",9007199254740993]}`, 'payload.n[2]'],
] as const;

describe.each(inexact)('the payload %s', (payload, field) => {
  test('is refused over Connect, with its path and what to send', async () => {
    const answer = await connectPost(service, createEventPath, bodyOf(payload));
    const refusal = await refusalIn(answer);
    expect(refusal).toMatchObject({ reason: 'PAYLOAD_INVALID', fields: [field] });
    expect(answer.text).toContain('a double holds exactly; send others as a string');
  });

  test('is refused over REST, with its path and what to send', async () => {
    expect(problemOf(await restCreate(payload))).toMatchObject({
      status: 400,
      reason: 'PAYLOAD_INVALID',
      violations: [{ field, description: expect.stringContaining('send others as a string') }],
    });
  });
});

test('it is refused over gRPC-Web with JSON', async () => {
  expect(await grpcWebMessage('{"n":9007199254740993}')).toContain(
    'a double holds exactly; send others as a string',
  );
});

test.each(['0.1', '1e300', '-0', '0', '9007199254740992', '9007199254740994', '1e16', '1.5e20'])(
  '%s is taken, and comes back',
  async (number) => {
    const answer = await restCreate(`{"n":[${number}]}`);
    expect(answer.status).toBe(201);
    expect(JSON.parse(answer.text).payload.n[0]).toBe(Number(number) + 0);
  },
);

test('only the item of a batch that holds it fails', async () => {
  const items = ['{"n":1}', '{"n":9007199254740993}', '{"n":3}'].map((payload) => bodyOf(payload));
  const path = '/harbor.events.v1.EventsService/BatchCreateEvents';
  const answer = await connectPost(service, path, `{"requests":[${items.join(',')}]}`);
  expect(JSON.parse(answer.text)).toMatchObject({
    results: [
      { created: { event: { payload: { n: 1 } } } },
      { error: { reason: 'PAYLOAD_INVALID', fieldViolations: [{ field: 'payload.n' }] } },
      { created: { event: { payload: { n: 3 } } } },
    ],
  });
});

test('two integers that are one double are not one content under one key', async () => {
  const headers = { 'idempotency-key': 'one double' };
  expect((await restCreate('{"n":9007199254740992}', headers)).status).toBe(201);
  const other = await restCreate('{"n":9007199254740993}', headers);
  expect(problemOf(other).reason).toBe('PAYLOAD_INVALID');
});

test('a double comes by binary as it is', async () => {
  const payload = { n: 2 ** 60, m: [2 ** 53 + 2, -(2 ** 63)] };
  const events = createEventsClient(service, 'grpc');
  const { event } = await events.createEvent({
    workspaceId: service.workspaceId,
    type: 'counted',
    payload,
  });
  expect(event?.payload).toEqual(payload);
  const found = await sendRequest(service, `/v1/events/${event?.id}`);
  expect(JSON.parse(found.text).payload).toEqual(payload);
});

describe('a field of 64 bits beside the payload', () => {
  const list = (after: string) =>
    connectPost(
      service,
      '/harbor.events.v1.EventsService/ListEvents',
      `{"workspaceId":"${service.workspaceId}","afterSequence":${after}}`,
    );

  test('is refused by its name as a number that is not exact', async () => {
    const answer = await list('9007199254740993');
    expect(await refusalIn(answer)).toMatchObject({ code: 'InvalidArgument' });
    expect(answer.text).toContain('after_sequence');
  });

  test('is exact as a string', async () => {
    expect(await refusalIn(await list('"9007199254740993"'))).toMatchObject({
      code: 'InvalidArgument',
      fields: ['after_sequence'],
    });
    expect(await refusalIn(await list('"9007199254740991"'))).toMatchObject({ code: 'OutOfRange' });
    expect((await list('"0"')).status).toBe(200);
  });
});
