import { create, type JsonObject, toBinary, toJson, toJsonString } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventSchema } from '../gen/typescript/harbor/events/v1/event_pb.ts';
import {
  CreateEventResponseSchema,
  ListEventsResponseSchema,
  SubscribeEventsResponseSchema,
} from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { Event } from '../src/events/event.ts';
import { CreatedAnswer, PageAnswer, StreamedAnswer } from '../src/events/event-answers.rpc.ts';
import {
  fromEventProtoJson,
  toEventJson,
  writeEventJson,
  writeEventProtoJson,
  writeWebhookJson,
} from '../src/events/event-json.ts';
import { toEventMessage } from '../src/events/event-message.rpc.ts';
import { checkPayload } from '../src/events/payload.ts';
import { cutByWireBytes, wireBytesMost, wireBytesOf } from '../src/events/wire-bytes.ts';
import { rpcJson } from '../src/json-texts.ts';
import { responseBytesMax } from '../src/server/limits.ts';
import { toAnswerBytes } from '../src/server/rpc/answer-writer.ts';

const text = fc.string({ unit: 'binary' }).filter((one) => !one.includes('\u0000'));
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 6 },
    fc.constantFrom(null, true, false, 0, -0, 1e21, 5e-324, 4200, -1.5),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    text,
    fc.array(tie('value'), { maxLength: 6 }),
    tie('object'),
  ),
  object: fc.dictionary(
    fc.oneof(text, fc.constantFrom('__proto__', 'constructor', '1', '0', 'toJSON', '"\\\u2028')),
    tie('value'),
    { maxKeys: 6, noNullPrototype: true },
  ),
}));

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const date = fc.date({
  min: new Date('2000-01-01T00:00:00Z'),
  max: new Date('2099-12-31T23:59:59.999Z'),
  noInvalidDate: true,
});

/** Any event that can be stored, as it is read again. */
const events: fc.Arbitrary<Event> = fc
  .record({
    payload: json.object as fc.Arbitrary<JsonObject>,
    type: text.filter((one) => one !== ''),
    subject: maybe(text.filter((one) => one !== '')),
    occurredAtMicros: maybe(fc.bigInt(-62_135_596_800_000_000n, 253_402_300_799_999_999n)),
    metadata: maybe(fc.dictionary(text, text, { minKeys: 1, maxKeys: 4, noNullPrototype: true })),
    createdAt: date,
    sequence: fc.integer({ min: 1 }),
    apiKeyId: maybe(fc.constant('key_01hzy9q7x8f4kq3d2m5n6p7r8s')),
    erasedAt: maybe(date),
  })
  .map((fields) => {
    const payloadJson = checkPayload(fields.payload).json;
    return {
      ...fields,
      id: 'evt_01hzy9q7x8f4kq3d2m5n6p7r8s',
      workspaceId: 'ws_018f3a2e4b9c',
      payload: JSON.parse(payloadJson),
      payloadJson,
    };
  });

const restJson = { useProtoFieldName: true, alwaysEmitImplicit: true };

test('an event that is written from its stored text is the one that its message is written as', () => {
  fc.assert(
    fc.property(events, (event) => {
      const message = create(EventSchema, toEventMessage(event));
      expect(writeEventProtoJson(event)).toBe(toJsonString(EventSchema, message));
      const shown = toJson(EventSchema, message, restJson) as JsonObject;
      expect(writeEventJson(event)).toBe(JSON.stringify(fromEventProtoJson(shown)));
      expect(writeEventJson(event)).toBe(JSON.stringify(toEventJson(event)));
      const { api_key_id: _, ...ofWebhook } = toEventJson(event);
      expect(writeWebhookJson(event)).toBe(JSON.stringify(ofWebhook));
    }),
  );
});

test('answers that are written from stored texts are those that their messages are written as', () => {
  const answers = fc.record({
    events: fc.array(events, { maxLength: 3 }),
    replayed: fc.boolean(),
    idempotencyKeyExpiresAt: maybe(date),
    nextPageToken: fc.constantFrom('', 'dG9rZW4'),
    firstSequence: fc.integer({ min: 1 }),
  });
  fc.assert(
    fc.property(answers, (given) => {
      const page = new PageAnswer(given);
      const ofPage = create(ListEventsResponseSchema, page);
      const bytes = Buffer.from(toAnswerBytes(page[rpcJson]()));
      expect(bytes.toString()).toBe(toJsonString(ListEventsResponseSchema, ofPage));
      for (const event of given.events) {
        const created = new CreatedAnswer({ ...given, event });
        const ofCreated = create(CreateEventResponseSchema, created);
        expect(created[rpcJson]()).toBe(toJsonString(CreateEventResponseSchema, ofCreated));
        const sent = new StreamedAnswer(event);
        const ofSent = create(SubscribeEventsResponseSchema, sent);
        expect(sent[rpcJson]()).toBe(toJsonString(SubscribeEventsResponseSchema, ofSent));
      }
    }),
  );
});

test('what an event takes as a message is never more than its text says, nor much more than is counted', () => {
  fc.assert(
    fc.property(events, (event) => {
      const counted = wireBytesOf(event);
      expect(wireBytesMost(event)).toBeGreaterThanOrEqual(counted);
      const message = create(EventSchema, toEventMessage(event));
      expect(toBinary(EventSchema, message).byteLength).toBeLessThanOrEqual(1.1 * counted);
    }),
  );
});

test('a page is cut where its messages become too large, however small its texts are', () => {
  const payload = { numbers: Array(10_000).fill(0) };
  const payloadJson = JSON.stringify(payload);
  const event = (sequence: number): Event => ({
    ...{ id: 'evt_1', workspaceId: 'ws_1', type: 'numbers', createdAt: new Date(0) },
    ...{ sequence, payload, payloadJson },
  });
  const page = Array.from({ length: 20 }, (_, index) => event(index + 1));
  const cut = cutByWireBytes(page, 2 * 1024 * 1024);
  expect(cut).toEqual(page.slice(0, Math.floor((2 * 1024 * 1024) / wireBytesOf(event(1)))));
  const few = page.slice(0, 3);
  expect(cutByWireBytes(few, 2 * 1024 * 1024)).toBe(few);
});

test('an answer in parts may be as many bytes as any, and no more', () => {
  const most = 'ä'.repeat(responseBytesMax / 4);
  expect(toAnswerBytes([most, most])).toHaveLength(responseBytesMax);
  const tooMany = expect.objectContaining({ code: Code.ResourceExhausted });
  expect(() => toAnswerBytes([most, most, '.'])).toThrow(tooMany);
});
