import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { Harbor, type NewEvent } from '../../sdk/src/index.ts';
import { type ScriptedServer, serviceError, startScriptedServer } from './scripted-server.ts';

const secretKey = 'hbr_sk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK';
const connect = ({ baseUrl }: ScriptedServer) => new Harbor({ secretKey, baseUrl });

const invoicePaid: NewEvent = {
  workspaceId: 'ws_018f3a2e4b9c',
  type: 'invoice.paid',
  payload: { invoiceId: 'inv_1' },
};
const metadata = { correlation_id: 'a-1', 'trace.parent-span': 'ü😀', empty: '' };

describe('an event with a subject, a time of its own and metadata', () => {
  const facts = {
    subject: 'inv_0192ac4e8b1d',
    occurredAt: new Date('2026-05-25T11:58:03.070Z'),
    metadata,
  };

  test('is sent with them, and has them', async () => {
    const server = await startScriptedServer();
    const harbor = connect(server);
    const created = await harbor.events.create({ ...invoicePaid, ...facts });
    expect(server.creates[0]).toMatchObject({
      subject: facts.subject,
      occurredAt: { seconds: 1_779_710_283n, nanos: 70_000_000 },
      metadata,
    });
    const expected = { ...facts, occurredAtExact: '2026-05-25T11:58:03.070Z' };
    expect(created).toMatchObject(expected);
    expect(await harbor.events.retrieve(created.id)).toMatchObject(expected);
    const [listed] = (await harbor.events.list({ workspaceId: invoicePaid.workspaceId })).events;
    expect(listed).toMatchObject(expected);
  });

  test('is sent with them in a batch', async () => {
    const server = await startScriptedServer();
    const [result] = await connect(server).events.createBatch([{ ...invoicePaid, ...facts }]);
    expect(server.batches[0]?.requests[0]).toMatchObject({ subject: facts.subject, metadata });
    expect(result?.event).toMatchObject(facts);
  });
});

test('what was not given is absent, not undefined', async () => {
  const server = await startScriptedServer();
  const event = await connect(server).events.create(invoicePaid);
  expect(Object.keys(event)).toEqual([
    'id',
    'type',
    'workspaceId',
    'payload',
    'createdAt',
    'sequence',
    'replayed',
    'idempotencyKeyExpiresAt',
  ]);
});

test.each([
  ['2026-05-25T11:58:03.000125Z', '2026-05-25T11:58:03.000125Z', '2026-05-25T11:58:03.000Z'],
  ['2026-05-25T11:58:03.1239999Z', '2026-05-25T11:58:03.123999900Z', '2026-05-25T11:58:03.123Z'],
  ['2026-05-25T13:58:03.5+02:00', '2026-05-25T11:58:03.500Z', '2026-05-25T11:58:03.500Z'],
  ['2024-02-29T23:59:59-00:30', '2024-03-01T00:29:59Z', '2024-03-01T00:29:59.000Z'],
  ['1969-12-31T23:59:59.999999Z', '1969-12-31T23:59:59.999999Z', '1969-12-31T23:59:59.999Z'],
  ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000Z'],
  ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
  ['9999-12-31T23:59:59.999999Z', '9999-12-31T23:59:59.999999Z', '9999-12-31T23:59:59.999Z'],
])('%s is sent as exactly as it is, and a Date is never later', async (text, exact, date) => {
  const server = await startScriptedServer();
  const event = await connect(server).events.create({ ...invoicePaid, occurredAt: text });
  expect(event.occurredAtExact).toBe(exact);
  expect(event.occurredAt?.toISOString()).toBe(date);
});

test('a Date before 1970 is sent as the moment that it is', async () => {
  const server = await startScriptedServer();
  const occurredAt = new Date('1969-12-31T23:59:58.001Z');
  const event = await connect(server).events.create({ ...invoicePaid, occurredAt });
  expect(event.occurredAt).toEqual(occurredAt);
});

test.each<[string, object, string]>([
  ['an empty subject', { subject: '' }, 'subject'],
  ['a subject that is no text', { subject: 7 }, 'subject'],
  ['a subject of null', { subject: null }, 'subject'],
  ['a subject with half a pair', { subject: 'a\ud800' }, 'subject'],
  ['30 February', { occurredAt: '2026-02-30T00:00:00Z' }, 'occurredAt'],
  ['29 February of 1900', { occurredAt: '1900-02-29T00:00:00Z' }, 'occurredAt'],
  ['24:00', { occurredAt: '2026-01-01T24:00:00Z' }, 'occurredAt'],
  ['a time without a zone', { occurredAt: '2026-01-01T12:00:00' }, 'occurredAt'],
  ['a zone that there is not', { occurredAt: '2026-01-01T12:00:00+99:00' }, 'occurredAt'],
  ['a day', { occurredAt: '2026-01-01' }, 'occurredAt'],
  ['an invalid Date', { occurredAt: new Date('?') }, 'occurredAt'],
  ['a time in numbers', { occurredAt: 1_779_710_283 }, 'occurredAt'],
  ['metadata of null', { metadata: null }, 'metadata'],
  ['metadata as a Map', { metadata: new Map([['a', 'b']]) }, 'metadata'],
  ['metadata as a list', { metadata: ['a'] }, 'metadata'],
  ['metadata with a number', { metadata: { attempt: 1 } }, 'metadata["attempt"]'],
  ['metadata with undefined', { metadata: { a_b: undefined } }, 'metadata["a_b"]'],
  ['metadata with half a pair', { metadata: { a: '\udc00' } }, 'metadata["a"]'],
  ['half a pair in a name', { metadata: { '\udc00': 'a' } }, 'metadata'],
])('refuses %s, and sends nothing', async (_what, fields, field) => {
  const server = await startScriptedServer();
  const event = { ...invoicePaid, ...fields } as NewEvent;
  await expect(connect(server).events.create(event)).rejects.toMatchObject({
    name: 'InvalidRequestError',
    violations: [{ field }],
  });
  expect(server.requests()).toBe(0);
});

test('a violation names a pair of metadata as it was given', async () => {
  const name = 'a.b_c.d_e';
  const server = await startScriptedServer([
    serviceError(Code.InvalidArgument, 'INVALID_REQUEST', {
      violations: [
        { field: `metadata["${name}"]`, description: 'is too long' },
        { field: 'occurred_at', description: 'is out of range' },
      ],
    }),
  ]);
  const creating = connect(server).events.create({ ...invoicePaid, metadata: { [name]: '' } });
  await expect(creating).rejects.toMatchObject({
    violations: [{ field: `metadata["${name}"]` }, { field: 'occurredAt' }],
  });
});

test('an event is retrieved from the workspace that is named, and from no other', async () => {
  const server = await startScriptedServer();
  const harbor = connect(server);
  const { id, workspaceId } = await harbor.events.create(invoicePaid);
  expect((await harbor.events.retrieve(id, { workspaceId })).id).toBe(id);
  await expect(harbor.events.retrieve(id, { workspaceId: 'ws_other' })).rejects.toMatchObject({
    name: 'NotFoundError',
  });
  await expect(harbor.events.retrieve(id, { workspaceId: '' })).rejects.toMatchObject({
    violations: [{ field: 'workspaceId' }],
  });
});

test("one thing's history is one call", async () => {
  const server = await startScriptedServer();
  const harbor = connect(server);
  const { workspaceId } = invoicePaid;
  for (const subject of ['inv_1', 'inv_2', 'inv_1']) {
    await harbor.events.create({ ...invoicePaid, subject });
  }
  const { events } = await harbor.events.list({ workspaceId, subject: 'inv_1' });
  expect(events.map(({ sequence }) => sequence)).toEqual([1, 3]);
});
