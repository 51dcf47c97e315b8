import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEventsClient, wires } from './support/clients.ts';
import { connectPost, createEventPath, refusalIn } from './support/connect-post.ts';
import { refusalOf } from './support/errors.ts';
import { problemOf, sendRequest } from './support/http-request.ts';
import {
  nestedStructBytes,
  requestWithPayloadBytes,
  structBytes,
  valueBytes,
} from './support/struct-bytes.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

/** Not UTF-8, and U+D800 as three bytes, which UTF-8 forbids. */
const brokenText = Buffer.from([0x61, 0xff]);
const surrogateText = Buffer.from([0xed, 0xa0, 0x80]);
const { number, list, text, withoutKind } = valueBytes;

const badValues = {
  'of NaN': { bytes: structBytes('a', number(Number.NaN)), field: 'payload.a' },
  'of infinity in a list': {
    bytes: structBytes('a', list(number(1), number(Number.POSITIVE_INFINITY))),
    field: 'payload.a[1]',
  },
  'of minus infinity': {
    bytes: structBytes('a', number(Number.NEGATIVE_INFINITY)),
    field: 'payload.a',
  },
};
const withoutAKind = {
  'a member': { bytes: structBytes('a', withoutKind()), payload: { a: null } },
  'an item of a list': { bytes: structBytes('a', list(withoutKind())), payload: { a: [null] } },
};
const unreadable = {
  'a text that is not UTF-8': structBytes('a', text(brokenText)),
  'a lone surrogate in a text': structBytes('a', text(surrogateText)),
  'a lone surrogate in a member name': structBytes(surrogateText, number(1)),
  'a length beyond its end': Buffer.from([0x0a, 0x7f, 0x01]),
  '30,000 levels': nestedStructBytes(30_000),
};

describe.each(wires.filter((wire) => !wire.includes('json')))('over %s', (wire) => {
  const create = (payload: Uint8Array) =>
    createEventsClient(service, wire).createEvent(
      requestWithPayloadBytes(service.workspaceId, payload),
    );

  test.each(Object.entries(withoutAKind))(
    'takes %s without a kind for null, and returns it as that',
    async (_what, { bytes, payload }) => {
      const { event } = await create(bytes);
      const events = createEventsClient(service, 'connect json');
      const found = await events.retrieveEvent({ id: event?.id ?? '' });
      expect(found.event?.payload).toEqual(payload);
    },
  );

  test.each(Object.entries(badValues))(
    'refuses a value %s, and says where it is',
    async (_what, { bytes, field }) => {
      expect(await refusalOf(create(bytes))).toMatchObject({
        code: 'InvalidArgument',
        reason: 'PAYLOAD_INVALID',
        fields: [field],
      });
    },
  );

  test.each(Object.entries(unreadable))('refuses a payload with %s', async (_what, bytes) => {
    expect(await refusalOf(create(bytes))).toMatchObject({
      code: 'InvalidArgument',
      reason: expect.stringMatching(/^(INVALID_REQUEST|PAYLOAD_INVALID)$/),
    });
  });
});

const bodyWith = (payload: string) =>
  `{"workspace_id":"${service.workspaceId}","type":"raw","payload":${payload}}`;
const asJson = { 'content-type': 'application/json' };
const toRest = (body: string | Uint8Array) =>
  sendRequest(service, '/v1/events', { headers: asJson, body });

const badJson = {
  '1e999': { json: '{"a":[{"b":1e999}]}', field: 'payload.a[0].b' },
  '-1e999': { json: '{"a":-1e999}', field: 'payload.a' },
  'an escaped lone surrogate': { json: '{"a":"\\ud800"}', field: 'payload.a' },
  'an escaped U+0000': { json: '{"a":"\\u0000"}', field: 'payload.a' },
};

describe.each(Object.entries(badJson))('JSON with %s', (_what, { json, field }) => {
  test('is refused by Connect, with its path', async () => {
    const answer = await connectPost(service, createEventPath, bodyWith(json));
    expect(await refusalIn(answer)).toMatchObject({ reason: 'PAYLOAD_INVALID', fields: [field] });
  });

  test('is refused by REST, with its path', async () => {
    expect(problemOf(await toRest(bodyWith(json)))).toMatchObject({
      status: 400,
      reason: 'PAYLOAD_INVALID',
      violations: [{ field }],
    });
  });
});

const unparsable: Record<string, () => string | Buffer> = {
  'nothing at all': () => '',
  'no JSON': () => 'not JSON',
  'half an object': () => '{"workspace_id":',
  'an array': () => '[]',
  'a text': () => '"text"',
  null: () => 'null',
  'NaN, which JSON does not have': () => bodyWith('{"a":NaN}'),
  'a text that is not UTF-8': () =>
    Buffer.concat([Buffer.from(bodyWith('{"a":"').slice(0, -1)), brokenText, Buffer.from('"}}')]),
  '200,000 opening brackets': () => '['.repeat(200_000),
  'a payload of 200,000 opening brackets': () => bodyWith(`{"a":${'['.repeat(200_000)}`),
  'a payload of 100,000 levels': () =>
    bodyWith(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
  'a member named __proto__ beside the contract': () =>
    `{"__proto__":{"type":"raw"},"workspace_id":"${service.workspaceId}","payload":{}}`,
};

describe.each(Object.entries(unparsable))('a body of %s', (_what, body) => {
  test('is refused by Connect', async () => {
    const answer = await connectPost(service, createEventPath, body() as string, asJson);
    expect(await refusalIn(answer)).toMatchObject({ code: 'InvalidArgument' });
  });

  test('is refused by REST', async () => {
    expect(problemOf(await toRest(body()))).toMatchObject({
      status: 400,
      code: 'invalid_argument',
    });
  });
});

test.each(wires)('an error about a member with a long name arrives whole over %s', async (wire) => {
  const payload = { ['n'.repeat(100_000)]: { deep: '\0' } };
  const call = createEventsClient(service, wire).createEvent({
    workspaceId: service.workspaceId,
    type: 'raw',
    payload,
  });
  expect(await refusalOf(call)).toMatchObject({
    code: 'InvalidArgument',
    reason: 'PAYLOAD_INVALID',
    fields: [expect.stringMatching(/^payload[.[]/)],
  });
});

test('an error does not send back the payload that it is about', async () => {
  const answer = await toRest(bodyWith(`"${'secret '.repeat(10_000)}"`));
  expect(problemOf(answer)).toMatchObject({ status: 400, reason: 'PAYLOAD_INVALID' });
  expect(answer.text.length).toBeLessThan(2_000);
});

test('the service answers on after all of these', async () => {
  const { event } = await createEventsClient(service).createEvent({
    workspaceId: service.workspaceId,
    type: 'raw',
    payload: { a: 1 },
  });
  expect(event?.payload).toEqual({ a: 1 });
});
