import type { JsonObject } from '@bufbuild/protobuf';
import { Harbor } from '@harbor/sdk';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEventsClient, jsonWires, type Wire, wires } from './support/clients.ts';
import { isSamePayload } from './support/payloads.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

/** A way in and out: an event is created from a payload, and its payload is read by its id. */
interface Way {
  create(payload: JsonObject, idempotencyKey: string): Promise<Created>;
  retrieve(id: string): Promise<unknown>;
}
interface Created {
  readonly id: string;
  readonly payload: unknown;
  readonly replayed: boolean;
}

function byWire(wire: Wire): Way {
  const events = createEventsClient(service, wire);
  return {
    async create(payload, idempotencyKey) {
      const { workspaceId } = service;
      const request = { workspaceId, type: 'any', payload, idempotencyKey };
      const { event, replayed } = await events.createEvent(request);
      return { id: event?.id ?? '', payload: event?.payload, replayed };
    },
    retrieve: async (id) => (await events.retrieveEvent({ id })).event?.payload,
  };
}

/** In as an item of a batch, out as an event of a list. */
function byBatch(): Way {
  const events = createEventsClient(service, 'connect json');
  const { workspaceId } = service;
  return {
    async create(payload, idempotencyKey) {
      const request = { workspaceId, type: 'any', payload, idempotencyKey };
      const { results } = await events.batchCreateEvents({ requests: [request] });
      const result = results[0]?.result;
      if (result?.case !== 'created') throw new Error(result?.value?.message);
      const { event, replayed } = result.value;
      return { id: event?.id ?? '', payload: event?.payload, replayed };
    },
    async retrieve(id) {
      const { event } = await events.retrieveEvent({ id });
      const afterSequence = (event?.sequence ?? 1n) - 1n;
      const page = await events.listEvents({ workspaceId, afterSequence, pageSize: 1 });
      return page.events[0]?.payload;
    },
  };
}

function byRest(): Way {
  const headers = {
    authorization: `Bearer ${service.secretKey}`,
    'content-type': 'application/json',
  };
  return {
    async create(payload, idempotencyKey) {
      const response = await fetch(`${service.baseUrl}/v1/events`, {
        method: 'POST',
        headers: { ...headers, 'idempotency-key': idempotencyKey },
        body: JSON.stringify({ workspace_id: service.workspaceId, type: 'any', payload }),
      });
      if (response.status !== 201) throw new Error(await response.text());
      const event = (await response.json()) as { id: string; payload: unknown };
      return { ...event, replayed: response.headers.get('idempotent-replayed') === 'true' };
    },
    async retrieve(id) {
      const response = await fetch(`${service.baseUrl}/v1/events/${id}`, { headers });
      return ((await response.json()) as { payload: unknown }).payload;
    },
  };
}

function bySdk(): Way {
  const { secretKey, baseUrl, workspaceId } = service;
  const { events } = new Harbor({ secretKey, baseUrl, payloadKeys: 'preserve' });
  return {
    create: (payload, idempotencyKey) =>
      events.create({ workspaceId, type: 'any', payload }, { idempotencyKey }),
    retrieve: async (id) => (await events.retrieve(id)).payload,
  };
}

const everyWay = (): Map<string, Way> =>
  new Map<string, Way>([
    ...[...wires, ...jsonWires].map((wire) => [wire, byWire(wire)] as const),
    ['a batch and a list', byBatch()],
    ['REST', byRest()],
    ['the SDK', bySdk()],
  ]);

/** Any text that is well-formed Unicode but for U+0000, with the names that trip up JavaScript and V8. */
const text = fc.oneof(
  // Few, so that names with escapes meet in one place of an object.
  { weight: 8, arbitrary: fc.constantFrom('h', 'k', '"', '\\', '\n', '\t"') },
  { weight: 4, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  { weight: 4, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) },
  fc.constantFrom(
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'toJSON',
    'invoice_id',
    'kind',
  ),
);
const clean = text.map((value) => value.replaceAll('\0', '␀'));
/** JavaScript writes some integers beyond 2^53 rounded, and those are refused in JSON. */
const isWrittenRounded = (number: number) =>
  Number.isInteger(number) && !Number.isSafeInteger(number) && Math.abs(number) < 1e21;
const number = fc
  .oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer())
  .filter((number) => !isWrittenRounded(number));

const { payload: anyPayload } = fc.letrec<{ value: unknown; payload: JsonObject }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    number,
    clean,
    fc.array(tie('value'), { maxLength: 6 }),
    tie('payload'),
  ),
  payload: fc
    .array(fc.tuple(clean, tie('value')), { maxLength: 6 })
    .map((members) => Object.fromEntries(members) as JsonObject),
}));

/** The same payload with its members, at every level, in another order. */
function reordered(value: unknown, random: () => number): unknown {
  if (Array.isArray(value)) return value.map((item) => reordered(item, random));
  if (typeof value !== 'object' || value === null) return value;
  const places = Object.entries(value).map(([key, member]) => ({
    place: random(),
    entry: [key, reordered(member, random)] as const,
  }));
  places.sort((one, other) => one.place - other.place);
  return Object.fromEntries(places.map(({ entry }) => entry));
}

let keys = 0;
const freshKey = () => `property ${++keys}`;

test('any payload within the limits comes back equal by every way in and out', async () => {
  const ways = everyWay();
  await fc.assert(
    fc.asyncProperty(anyPayload, fc.nat(), async (payload, turn) => {
      const [name, wayIn] = [...ways][turn % ways.size] as [string, Way];
      const created = await wayIn.create(payload, freshKey());
      const answers = await Promise.all(
        [...ways].map(async ([out, way]) => [out, await way.retrieve(created.id)] as const),
      );
      const unequal = [['the answer', created.payload] as const, ...answers]
        .filter(([, answer]) => !isSamePayload(answer, payload))
        .map(([out]) => `in by ${name}, out by ${out}`);
      expect(unequal).toEqual([]);
    }),
    { numRuns: 80 },
  );
}, 60_000);

test('one payload with its members in any order and one key is one event, by every way', async () => {
  const ways = everyWay();
  await fc.assert(
    fc.asyncProperty(
      anyPayload,
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
      async (payload, dice) => {
        const random = () => dice.next().value ?? 0;
        const key = freshKey();
        const created: Created[] = [];
        for (const way of ways.values()) {
          created.push(await way.create(reordered(payload, random) as JsonObject, key));
        }
        expect(new Set(created.map(({ id }) => id)).size).toBe(1);
        expect(created.map(({ replayed }) => replayed)).toEqual(
          created.map((_, place) => place > 0),
        );
        const unequal = created.filter((one) => !isSamePayload(one.payload, payload));
        expect(unequal).toEqual([]);
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);

test('two payloads that differ are never one event under one key', async () => {
  const ways = [...everyWay().values()];
  await fc.assert(
    fc.asyncProperty(anyPayload, anyPayload, fc.nat(), async (one, other, turn) => {
      fc.pre(!isSamePayload(one, other));
      const key = freshKey();
      const way = (place: number) => ways[place % ways.length] as Way;
      await way(turn).create(one, key);
      await expect(way(turn + 1).create(other, key)).rejects.toThrow(/used for another event/);
    }),
    { numRuns: 60 },
  );
}, 60_000);
