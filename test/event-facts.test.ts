import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Event } from '../gen/typescript/harbor/events/v1/event_pb.ts';
import { Harbor, type HarborError } from '../sdk/src/index.ts';
import { findUuid } from '../src/type-id.ts';
import { createEventsClient, jsonWires, type Wire, wires } from './support/clients.ts';
import { connectPost, createEventPath, refusalIn } from './support/connect-post.ts';
import { refusalOf } from './support/errors.ts';
import { newUuidSql } from './support/filled-log.ts';
import { problemOf, sendRequest } from './support/http-request.ts';
import { readEverywhere } from './support/read-everywhere.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
let harbor: Harbor;
beforeAll(async () => {
  service = await startTestService();
  const { baseUrl, secretKey } = service;
  harbor = new Harbor({ baseUrl, secretKey });
});
afterAll(() => service.stop());

/** What a way in takes beside workspace, type and payload. */
interface Facts {
  readonly type?: string;
  readonly subject?: string;
  readonly metadata?: Record<string, string>;
}

/** The event as the answer has it, or the fields that the refusal names, by the contract's names. */
type Outcome = { readonly event: Facts } | { readonly refused: readonly string[] };

const allWires: readonly Wire[] = [...wires, ...jsonWires];
const emptyFacts = { subject: '', metadata: {} };

const baseOf = () => ({ workspaceId: service.workspaceId, type: 'facts.given', payload: {} });

async function createOver(wire: Wire, facts: Facts): Promise<Outcome> {
  const call = createEventsClient(service, wire).createEvent({ ...baseOf(), ...facts });
  return call.then(
    ({ event }) => ({ event: factsOf(event) }),
    async (error) => {
      const { reason, fields } = await refusalOf(Promise.reject(error));
      expect(reason).toBe('INVALID_REQUEST');
      return { refused: fields };
    },
  );
}

async function createInBatch(wire: Wire, facts: Facts): Promise<Outcome> {
  const good = baseOf();
  const { results } = await createEventsClient(service, wire).batchCreateEvents({
    requests: [good, { ...good, ...facts }, good],
  });
  const [before, { result } = {}, after] = results;
  expect([before?.result.case, after?.result.case]).toEqual(['created', 'created']);
  if (result?.case === 'created') return { event: factsOf(result.value.event) };
  if (result?.case !== 'error') throw new Error('the batch answers nothing for the item');
  expect(result.value.reason).toBe('INVALID_REQUEST');
  return { refused: result.value.fieldViolations.map(({ field }) => field) };
}

async function createByRest(facts: Facts): Promise<Outcome> {
  const { workspaceId, ...base } = baseOf();
  const body = { workspace_id: workspaceId, ...base, ...facts };
  const answer = await sendRequest(service, '/v1/events', { body });
  if (answer.status === 201) return { event: factsOf(JSON.parse(answer.text)) };
  const problem = problemOf(answer);
  expect(problem).toMatchObject({ status: 400, reason: 'INVALID_REQUEST' });
  return { refused: problem.violations?.map(({ field }) => field) ?? [] };
}

async function createBySdk(facts: Facts): Promise<Outcome> {
  return harbor.events.create({ ...baseOf(), ...facts }).then(
    (event) => ({ event: factsOf(event) }),
    (error: HarborError & { violations?: { field: string }[] }) => {
      expect(error.reason).toBe('INVALID_REQUEST');
      return { refused: error.violations?.map(({ field }) => field) ?? [] };
    },
  );
}

function factsOf(event: Facts | Event | undefined): Facts {
  const { subject, metadata } = { ...emptyFacts, ...event };
  return { subject, metadata };
}

const ways: readonly (readonly [string, (facts: Facts) => Promise<Outcome>])[] = [
  ...allWires.map((wire) => [wire, (facts: Facts) => createOver(wire, facts)] as const),
  ...(['grpc', 'connect json'] as const).map(
    (wire) => [`a batch over ${wire}`, (facts: Facts) => createInBatch(wire, facts)] as const,
  ),
  ['REST', createByRest],
  ['the SDK', createBySdk],
];

/** Of 4 bytes each, and two units of UTF-16. */
const smile = '😀';
const pairs = (count: number, value = '') =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`name_${n}`, value]));
const longestName = `a${'b_.-9'.repeat(13).slice(0, 63)}`;

const allowed: Record<string, Facts> = {
  'a subject of one character': { subject: 'x' },
  'a subject of 255 characters': { subject: smile.repeat(255) },
  'a subject with a comma and blanks inside': { subject: 'a, b\u00a0c' },
  'a subject that a type could not be': { subject: 'harbor.mine' },
  'a pair without a value': { metadata: { a: '' } },
  '16 pairs of 512 characters': { metadata: pairs(16, smile.repeat(512)) },
  'a name of 64 characters': { metadata: { [longestName]: 'x' } },
  'a name that objects have': { metadata: { constructor: 'a' } },
  'blanks at the ends of a value': { metadata: { a: ' x ' } },
};
const refused: Record<string, Facts & { readonly field: string }> = {
  'a subject of 256 characters': { subject: smile.repeat(256), field: 'subject' },
  'a subject of a blank': { subject: ' ', field: 'subject' },
  'a blank before a subject': { subject: ' x', field: 'subject' },
  'a blank behind a subject': { subject: 'x\u3000', field: 'subject' },
  'a star in a subject': { subject: 'a*', field: 'subject' },
  'a newline in a subject': { subject: 'a\nb', field: 'subject' },
  'U+0000 in a subject': { subject: 'a\0', field: 'subject' },
  'U+0085 in a subject': { subject: 'a\u0085b', field: 'subject' },
  '17 pairs': { metadata: pairs(17), field: 'metadata' },
  'a value of 513 characters': { metadata: { a: smile.repeat(513) }, field: 'metadata["a"]' },
  'a newline in a value': { metadata: { a_b: 'x\n' }, field: 'metadata["a_b"]' },
  'U+0000 in a value': { metadata: { a: '\0' }, field: 'metadata["a"]' },
  'a name of 65 characters': {
    metadata: { [`${longestName}c`]: '' },
    field: `metadata["${longestName}c"]`,
  },
  'an empty name': { metadata: { '': '' }, field: 'metadata[""]' },
  'a name with a capital': { metadata: { aB: '' }, field: 'metadata["aB"]' },
  'a name that begins with a digit': { metadata: { '1a': '' }, field: 'metadata["1a"]' },
  'a name with a blank': { metadata: { 'a b': '' }, field: 'metadata["a b"]' },
  'a name in other letters': { metadata: { ä: '' }, field: 'metadata["ä"]' },
  'the name __proto__': {
    metadata: JSON.parse('{"__proto__":"x"}'),
    field: 'metadata["__proto__"]',
  },
  'a type with a comma': { type: 'a,b', field: 'type' },
  'a type with a blank at its end': { type: 'a ', field: 'type' },
  "a type of the service's own": { type: 'harbor.event.erased', field: 'type' },
};

describe.each(ways)('over %s', (_way, create) => {
  test.each(Object.entries(allowed))('%s is taken and comes back as it was', async (_, facts) => {
    expect(await create(facts)).toEqual({ event: { ...emptyFacts, ...facts } });
  });

  test.each(Object.entries(refused))('%s is refused', async (_, { field, ...facts }) => {
    expect(await create(facts)).toEqual({ refused: [field] });
  });
});

describe.each(wires.filter((wire) => wire.includes('json')))('over %s', (wire) => {
  test.each<[string, Facts, string]>([
    ['a subject', { subject: 'a\ud800' }, 'subject'],
    ['a value of metadata', { metadata: { a: '\udc00' } }, 'metadata'],
  ])('half a surrogate pair in %s is refused', async (_, facts, field) => {
    expect(await createOver(wire, facts)).toEqual({ refused: [field] });
  });
});

test.each([
  ['metadata of a number', '{"a":1}'],
  ['metadata of null', '{"a":null}'],
  ['metadata of an object', '{"a":{}}'],
  ['metadata that is a list', '["a"]'],
])('%s is refused by JSON, and the field is named', async (_, metadata) => {
  const body = JSON.stringify(baseOf()).replace('}', `},"metadata":${metadata}`);
  const answer = await connectPost(service, createEventPath, `${body.slice(0, -1)}}`);
  expect(await refusalIn(answer)).toMatchObject({ reason: 'INVALID_REQUEST' });
});

test('a flood of pairs is refused for their number, before any is looked at', async () => {
  const metadata = Object.fromEntries(Array.from({ length: 100_000 }, (_, n) => [`N${n}`, '']));
  const refusal = await refusalOf(
    createEventsClient(service).createEvent({ ...baseOf(), metadata }),
  );
  expect(refusal).toMatchObject({
    fields: ['metadata'],
    message: 'metadata: must have at most 16 pairs, not 100000',
  });
});

describe.each(allWires)('over %s', (wire) => {
  const key = `whole ${wire}`;
  const facts = {
    subject: 'inv_0192ac4e8b1d',
    occurredAt: { seconds: 1_779_710_283n, nanos: 123_456_000 },
    metadata: { origin: 'billing', 'a.b-c_d': `ü ${smile}` },
  };

  test('what was given comes back by every answer, and says which key recorded it', async () => {
    const client = createEventsClient(service, wire);
    const request = { ...baseOf(), ...facts, idempotencyKey: key };
    const { event } = await client.createEvent(request);
    if (event === undefined) throw new Error('the create answers no event');
    expect(event).toMatchObject(facts);
    expect(event.erasedAt).toBeUndefined();
    const [stored] = await service.database.query<{ api_key_id: string }>(
      'select api_key_id from events where id = $1',
      [findUuid('evt', event.id)],
    );
    expect(findUuid('key', event.apiKeyId)).toBe(stored?.api_key_id);
    const { event: replayed } = await client.createEvent(request);
    const everywhere = [...(await readEverywhere(service, event)), replayed];
    expect(everywhere).toHaveLength(4);
    for (const one of everywhere) expect(one).toEqual(event);
  });

  test('a replay may give another time and other metadata, and answers the original', async () => {
    const client = createEventsClient(service, wire);
    const { event } = await client.createEvent({ ...baseOf(), ...facts, idempotencyKey: key });
    const retried = await client.createEvent({
      ...baseOf(),
      subject: facts.subject,
      occurredAt: { seconds: 1n, nanos: 0 },
      metadata: { attempt: '2' },
      idempotencyKey: key,
    });
    expect(retried.replayed).toBe(true);
    expect(retried.event).toEqual(event);
  });

  test.each([undefined, 'inv_other', 'INV_0192AC4E8B1D'])(
    'the same key with the subject %s is a reuse',
    async (subject) => {
      const client = createEventsClient(service, wire);
      await client.createEvent({ ...baseOf(), ...facts, idempotencyKey: key });
      const call = client.createEvent({
        ...baseOf(),
        ...(subject !== undefined && { subject }),
        idempotencyKey: key,
      });
      expect(await refusalOf(call)).toMatchObject({ reason: 'IDEMPOTENCY_KEY_REUSED' });
    },
  );
});

test('what was not given is absent in the JSON of REST', async () => {
  const { workspaceId, ...base } = baseOf();
  const answer = await sendRequest(service, '/v1/events', {
    body: { workspace_id: workspaceId, ...base, subject: '', metadata: {}, occurred_at: null },
  });
  expect(Object.keys(JSON.parse(answer.text))).toEqual([
    'id',
    'type',
    'workspace_id',
    'payload',
    'created_at',
    'sequence',
    'api_key_id',
  ]);
});

test('an event that was recorded before keys were noted has none', async () => {
  await service.database.query(
    `with grown as (
      update workspaces set last_sequence = last_sequence + 1 where id = $1 returning last_sequence
    )
    insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at)
    select ${newUuidSql}, $1, last_sequence, 'facts.old', '{}', 2, now() from grown`,
    [service.workspaceId],
  );
  const { events } = await createEventsClient(service).listEvents({
    workspaceId: service.workspaceId,
    typePatterns: ['facts.old'],
  });
  expect(events).toHaveLength(1);
  expect(events[0]).toMatchObject({ apiKeyId: '', subject: '', metadata: {} });
  expect(events[0]?.occurredAt).toBeUndefined();
});

test('an event names the key that recorded it, also when another one replays it', async () => {
  const secretKey = await service.issueKey({ scopes: ['events:write'] });
  const request = { ...baseOf(), idempotencyKey: 'recorded by one' };
  const { event } = await createEventsClient(service).createEvent(request);
  const replay = await createEventsClient({ ...service, secretKey }).createEvent(request);
  expect(replay.replayed).toBe(true);
  expect(replay.event?.apiKeyId).toBe(event?.apiKeyId);
  const own = await createEventsClient({ ...service, secretKey }).createEvent(baseOf());
  expect(own.event?.apiKeyId).not.toBe(event?.apiKeyId);
});

describe('the SDK', () => {
  test('rewrites no name of metadata, on the way out or back', async () => {
    const metadata = { correlation_id: 'a', 'trace.parent_span': 'b' };
    const created = await harbor.events.create({ ...baseOf(), metadata });
    expect(created.metadata).toEqual(metadata);
    expect((await harbor.events.retrieve(created.id)).metadata).toEqual(metadata);
  });
});

test('an event is retrieved from the workspace that is named, and is missing from any other', async () => {
  const client = createEventsClient(service);
  const { event } = await client.createEvent(baseOf());
  const id = event?.id ?? '';
  const here = await client.retrieveEvent({ id, workspaceId: service.workspaceId });
  expect(here.event).toEqual(event);
  const elsewhere = await refusalOf(client.retrieveEvent({ id, workspaceId: 'ws_elsewhere' }));
  expect(elsewhere).toEqual({
    code: 'NotFound',
    reason: 'EVENT_NOT_FOUND',
    message: `no event ${id}`,
    metadata: { event_id: id },
    fields: [],
    retryable: false,
  });
  const broken = await refusalOf(client.retrieveEvent({ id, workspaceId: 'WS' }));
  expect(broken).toMatchObject({ reason: 'INVALID_REQUEST', fields: ['workspace_id'] });
});
