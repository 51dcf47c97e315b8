import type { JsonObject } from '@bufbuild/protobuf';
import { Harbor } from '@harbor/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEventsClient, type Wire } from './support/clients.ts';
import { sendRequest } from './support/http-request.ts';
import { isSamePayload, payloadOfBytes, payloadOfLevels } from './support/payloads.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const payloads: Record<string, string> = {
  'of 262,144 bytes': JSON.stringify(payloadOfBytes(262_144)),
  '32 levels deep': JSON.stringify(payloadOfLevels(32)),
  'without members': '{}',
  'with an empty member name': '{"":{"":[]}}',
  'with unicode member names':
    '{"ключ":"значение","鍵":"値","🔑":"🚪","é":1,"e\u0301":2,"\u2028":3}',
  'with the member __proto__': '{"__proto__":{"polluted":true},"a":{"__proto__":1}}',
  'with the members constructor and prototype':
    '{"constructor":{"prototype":{"polluted":true}},"toString":1,"hasOwnProperty":null,"toJSON":"x"}',
  'with member names in two styles': '{"invoice_id":1,"invoiceId":2,"InvoiceID":3}',
  'with numbers at the ends of their range':
    '{"n":[1.7976931348623157e308,5e-324,-5e-324,9007199254740991,0.1,1e21,-0]}',
  'with control characters': '{"a":"\\u0001\\b\\t\\n\\u001f\\u007f\\u0085\\ufeff\\uffff"}',
  'with every kind of value': '{"a":[null,true,false,0,"",[],{},[[]],[{}]]}',
  'of 130,000 numbers': `{"n":[${'1,'.repeat(129_999)}1]}`,
  'of 9,000 members': JSON.stringify(
    Object.fromEntries(Array.from({ length: 9_000 }, (_, index) => [`m${index}`, index])),
  ),
};

/** Ways in, each from JSON text to the id of the event; ways out, each from the id to its payload. */
type In = (payload: string) => Promise<string>;
type Out = (id: string) => Promise<unknown>;

const byWire = (wire: Wire): { create: In; retrieve: Out } => ({
  async create(payload) {
    const { event } = await createEventsClient(service, wire).createEvent({
      workspaceId: service.workspaceId,
      type: 'boundary',
      payload: JSON.parse(payload) as JsonObject,
    });
    expect(isSamePayload(event?.payload, JSON.parse(payload))).toBe(true);
    return event?.id ?? '';
  },
  async retrieve(id) {
    return (await createEventsClient(service, wire).retrieveEvent({ id })).event?.payload;
  },
});

const rest: { create: In; retrieve: Out } = {
  async create(payload) {
    const answer = await sendRequest(service, '/v1/events', {
      headers: { 'content-type': 'application/json' },
      body: `{"workspace_id":"${service.workspaceId}","type":"boundary","payload":${payload}}`,
    });
    const event = JSON.parse(answer.text);
    expect(isSamePayload(event.payload, JSON.parse(payload))).toBe(true);
    return event.id;
  },
  async retrieve(id) {
    return JSON.parse((await sendRequest(service, `/v1/events/${id}`)).text).payload;
  },
};

const harbor = () =>
  new Harbor({ secretKey: service.secretKey, baseUrl: service.baseUrl, payloadKeys: 'preserve' });
const sdk: { create: In; retrieve: Out } = {
  async create(payload) {
    const event = await harbor().events.create({
      workspaceId: service.workspaceId,
      type: 'boundary',
      payload: JSON.parse(payload),
    });
    expect(isSamePayload(event.payload, JSON.parse(payload))).toBe(true);
    return event.id;
  },
  retrieve: async (id) => (await harbor().events.retrieve(id)).payload,
};

/** A wire of each codec and protocol; their number is the cost of this file. */
const wires = ['grpc', 'grpc-web http/1.1', 'connect json', 'connect binary'] as const;
const ways = new Map([
  ...wires.map((wire) => [wire as string, byWire(wire)] as const),
  ['REST', rest] as const,
  ['the SDK', sdk] as const,
]);

const binaryWay = { name: 'gRPC', create: byWire('grpc').create };
const jsonWay = { name: 'REST', create: rest.create };

describe.each(Object.entries(payloads))('a payload %s', (_what, payload) => {
  test('is accepted by every way in, and the answer holds it', async () => {
    for (const { create } of ways.values()) expect(await create(payload)).toMatch(/^evt_/);
  });

  test.each([binaryWay, jsonWay])(
    'that came by $name comes back equal by every way out',
    async ({ create }) => {
      const id = await create(payload);
      const unequal: string[] = [];
      for (const [name, { retrieve }] of ways) {
        const same = isSamePayload(await retrieve(id), JSON.parse(payload));
        unequal.push(...(same ? [] : [name]));
      }
      expect(unequal).toEqual([]);
    },
  );
});

test('a payload is measured as compact JSON, however widely it was written', async () => {
  const payload = payloadOfBytes(262_144);
  const answer = await sendRequest(service, '/v1/events', {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ workspace_id: service.workspaceId, type: 'wide', payload }, null, 8)
      .replace('é', '\\u00e9')
      .replaceAll(/x/g, '\\u0078'),
  });
  expect(answer.status).toBe(201);
});

const acceptedTypes = [
  'x',
  'x'.repeat(255),
  '😀'.repeat(255),
  'invoice paid',
  'facture.payée',
  '::',
];
test.each(acceptedTypes)('the type %s is kept as it is', async (type) => {
  const events = createEventsClient(service);
  const { event } = await events.createEvent({
    workspaceId: service.workspaceId,
    type,
    payload: {},
  });
  expect(event?.type).toBe(type);
  expect((await events.retrieveEvent({ id: event?.id ?? '' })).event?.type).toBe(type);
});

test.each(['k', '~'.repeat(255), ' a key, with "marks" '])(
  'the idempotency key %s is accepted, and its repetition is a replay',
  async (idempotencyKey) => {
    const events = createEventsClient(service);
    const request = {
      workspaceId: service.workspaceId,
      type: 'keyed',
      payload: {},
      idempotencyKey,
    };
    const first = await events.createEvent(request);
    const second = await events.createEvent(request);
    expect([first.replayed, second.replayed]).toEqual([false, true]);
    expect(second.event).toEqual(first.event);
  },
);
