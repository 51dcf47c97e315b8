import { describe, expect, test } from 'vitest';
import { Harbor, type HarborOptions, type JsonObject } from '../../sdk/src/index.ts';
import { type ScriptedServer, startScriptedServer } from './scripted-server.ts';

const secretKey = 'hbr_sk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK';

function connect(server: ScriptedServer, options: Partial<HarborOptions> = {}): Harbor {
  return new Harbor({ secretKey, baseUrl: server.baseUrl, ...options });
}

function invoicePaid(payload: object = { invoiceId: 'inv_0192ac4e8b1d', amountCents: 4200 }) {
  return { workspaceId: 'ws_018f3a2e4b9c', type: 'invoice.paid', payload };
}

describe('harbor.events.create', () => {
  test('sends the payload in snake_case and returns the whole event in camelCase', async () => {
    const server = await startScriptedServer();
    const event = await connect(server).events.create(invoicePaid());
    expect(server.creates[0]).toMatchObject({
      workspaceId: 'ws_018f3a2e4b9c',
      type: 'invoice.paid',
      payload: { invoice_id: 'inv_0192ac4e8b1d', amount_cents: 4200 },
    });
    expect(event).toStrictEqual({
      id: 'evt_00000000000000000000000001',
      type: 'invoice.paid',
      workspaceId: 'ws_018f3a2e4b9c',
      payload: { invoiceId: 'inv_0192ac4e8b1d', amountCents: 4200 },
      createdAt: new Date('2026-05-25T12:00:00Z'),
      sequence: 1,
      replayed: false,
      idempotencyKeyExpiresAt: new Date('2026-05-26T12:00:00Z'),
    });
  });

  test('keeps member names with escapes, whatever this process has parsed before', async () => {
    const server = await startScriptedServer();
    JSON.parse('{"h":[],"\\\\":0}');
    const event = await connect(server).events.create(invoicePaid({ h: 1, '"': 2 }));
    expect(Object.keys(server.creates[0]?.payload ?? {})).toEqual(['h', '"']);
    expect(Object.keys(event.payload)).toEqual(['h', '"']);
  });

  test.each([
    [{ total: { cents: 2 ** 53 } }, 'payload.total.cents'],
    [{ lines: [1, -(2 ** 60)] }, 'payload.lines[1]'],
    [{ 'due in': 999999999999999900000 }, 'payload["due in"]'],
  ])(
    'refuses %j, whose integer may have been rounded, before it is sent',
    async (payload, field) => {
      const server = await startScriptedServer();
      await expect(connect(server).events.create(invoicePaid(payload))).rejects.toMatchObject({
        name: 'InvalidRequestError',
        reason: 'PAYLOAD_INVALID',
        message: expect.stringContaining('Send it as a string'),
        violations: [{ field }],
      });
      expect(server.requests()).toBe(0);
      await connect(server, { payloadIntegers: 'any' }).events.create(invoicePaid(payload));
      expect(server.requests()).toBe(1);
    },
  );

  test('refuses half a surrogate pair, which the wire would change, in a type too', async () => {
    const server = await startScriptedServer();
    const half = { ...invoicePaid(), type: 'invoice.\ud800' };
    await expect(connect(server).events.create(half)).rejects.toMatchObject({
      reason: 'INVALID_REQUEST',
      violations: [{ field: 'type' }],
    });
    expect(server.requests()).toBe(0);
  });

  test('sends integers up to 2^53 − 1, and numbers that nobody takes for exact ones', async () => {
    const server = await startScriptedServer();
    const payload = { n: [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 1e21, -1e300, 0.1] };
    expect((await connect(server).events.create(invoicePaid(payload))).payload).toEqual(payload);
  });

  test('sends the API key as a bearer token', async () => {
    const server = await startScriptedServer();
    await connect(server).events.create(invoicePaid());
    expect(server.headers().authorization).toBe(`Bearer ${secretKey}`);
  });

  test('sends a new idempotency key with every call that gives none', async () => {
    const server = await startScriptedServer();
    const harbor = connect(server);
    const first = await harbor.events.create(invoicePaid());
    const second = await harbor.events.create(invoicePaid());
    expect(server.creates.map((create) => create.idempotencyKey)).toEqual([
      expect.stringMatching(/^[0-9a-f]{32}$/),
      expect.stringMatching(/^[0-9a-f]{32}$/),
    ]);
    expect(second.id).not.toBe(first.id);
  });

  test('returns the same event, marked as replayed, for the same idempotency key', async () => {
    const server = await startScriptedServer();
    const harbor = connect(server);
    const options = { idempotencyKey: 'inv_0192ac4e8b1d-paid' };
    const first = await harbor.events.create(invoicePaid(), options);
    const second = await harbor.events.create(invoicePaid(), options);
    expect(second).toStrictEqual({ ...first, replayed: true });
    expect(server.creates[1]?.idempotencyKey).toBe('inv_0192ac4e8b1d-paid');
  });

  test.each(['', 'ключ', 'a\nb', 'x'.repeat(256), 42])(
    'refuses the idempotency key %j, and sends nothing',
    async (idempotencyKey) => {
      const server = await startScriptedServer();
      const creating = connect(server).events.create(invoicePaid(), {
        idempotencyKey: idempotencyKey as string,
      });
      await expect(creating).rejects.toMatchObject({
        name: 'InvalidOptionError',
        option: 'idempotencyKey',
      });
      expect(server.requests()).toBe(0);
    },
  );

  test('sends payload keys as they are with payloadKeys preserve', async () => {
    const server = await startScriptedServer();
    const payload = { invoiceId: 1, invoice_id: 2, nested: [{ aB: null, c_d: true }] };
    const event = await connect(server, { payloadKeys: 'preserve' }).events.create(
      invoicePaid(payload),
    );
    expect(server.creates[0]?.payload).toEqual(payload);
    expect(event.payload).toEqual(payload);
  });

  test.each([
    '{}',
    '{"__proto__":{"isAdmin":true},"constructor":1,"toString":null}',
    '{"text":"\\u2028 \\"quoted\\" 😀","":0,"äÖ":[[],[{}]],"big":1.7976931348623157e+308,"tiny":5e-324}',
  ])('gives the payload %s back as it was', async (text) => {
    const server = await startScriptedServer();
    const event = await connect(server).events.create(invoicePaid(JSON.parse(text) as JsonObject));
    expect(JSON.parse(JSON.stringify(event.payload))).toEqual(JSON.parse(text));
    expect(Object.keys(event.payload).sort()).toEqual(Object.keys(JSON.parse(text)).sort());
  });

  test('names the field that is missing, and sends nothing', async () => {
    const server = await startScriptedServer();
    const withoutWorkspace = { ...invoicePaid(), workspaceId: undefined as unknown as string };
    await expect(connect(server).events.create(withoutWorkspace)).rejects.toMatchObject({
      name: 'InvalidRequestError',
      violations: [{ field: 'workspaceId', description: 'is missing.' }],
    });
    expect(server.requests()).toBe(0);
  });
});

describe('harbor.events.retrieve', () => {
  test('returns the event that create returned', async () => {
    const server = await startScriptedServer();
    const harbor = connect(server);
    const { replayed, idempotencyKeyExpiresAt, ...created } = await harbor.events.create(
      invoicePaid(),
    );
    expect(await harbor.events.retrieve(created.id)).toStrictEqual(created);
  });

  test('rejects with NotFoundError for an unknown id, after one attempt', async () => {
    const server = await startScriptedServer();
    const retrieving = connect(server).events.retrieve('evt_01hzy9q7x8f4');
    await expect(retrieving).rejects.toMatchObject({
      name: 'NotFoundError',
      code: 'not_found',
      reason: 'EVENT_NOT_FOUND',
      requestId: 'req_1',
    });
    expect(server.requests()).toBe(1);
  });

  test('asks for an id when there is none', async () => {
    const server = await startScriptedServer();
    const retrieving = connect(server).events.retrieve(undefined as unknown as string);
    await expect(retrieving).rejects.toThrow('id is missing.');
  });
});
