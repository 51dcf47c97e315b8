import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import {
  type BatchItem,
  Harbor,
  IdempotencyKeyReusedError,
  InvalidRequestError,
} from '../../sdk/src/index.ts';
import { type ScriptedServer, startScriptedServer } from './scripted-server.ts';

const secretKey = 'hbr_sk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK';

function connect(server: ScriptedServer): Harbor {
  return new Harbor({ secretKey, baseUrl: server.baseUrl });
}

function item(type: string, rest: Partial<BatchItem> = {}): BatchItem {
  return { workspaceId: 'ws_1', type, payload: { invoiceId: 'inv_1' }, ...rest };
}

describe('harbor.events.createBatch', () => {
  test('returns what create would have returned, in the order of the items', async () => {
    const server = await startScriptedServer();
    const results = await connect(server).events.createBatch([
      item('a'),
      item('b', { idempotencyKey: 'b-1' }),
      item('c', { idempotencyKey: 'b-1' }),
    ]);
    expect(results.map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(results[0]?.event).toStrictEqual({
      id: 'evt_00000000000000000000000001',
      type: 'a',
      workspaceId: 'ws_1',
      payload: { invoiceId: 'inv_1' },
      createdAt: new Date('2026-05-25T12:00:00Z'),
      sequence: 1,
      replayed: false,
      idempotencyKeyExpiresAt: new Date('2026-05-26T12:00:00Z'),
    });
    expect(results[2]?.event).toMatchObject({ sequence: 2, replayed: true });
    expect(server.batches[0]?.requests.map((create) => create.idempotencyKey)).toEqual([
      expect.stringMatching(/^[0-9a-f]{32}$/),
      'b-1',
      'b-1',
    ]);
    expect(server.batches[0]?.requests[0]?.payload).toEqual({ invoice_id: 'inv_1' });
  });

  test('sends the others when an integer of one may have been rounded', async () => {
    const server = await startScriptedServer();
    const rounded = item('b', { payload: { n: 2 ** 53 } });
    const results = await connect(server).events.createBatch([item('a'), rounded, item('c')]);
    expect(results.map(({ ok }) => ok)).toEqual([true, false, true]);
    expect(results[1]?.error).toMatchObject({ violations: [{ field: 'payload.n' }] });
  });

  test('gives each refused item the error that create would have thrown', async () => {
    const server = await startScriptedServer([
      {
        refuse: {
          reused: {
            code: Code.AlreadyExists,
            reason: 'IDEMPOTENCY_KEY_REUSED',
            message: 'the key was used',
            metadata: { event_id: 'evt_1', expires_at: '2026-05-26T12:00:00Z' },
          },
          broken: {
            code: Code.InvalidArgument,
            reason: 'PAYLOAD_INVALID',
            message: 'broken',
            fieldViolations: [{ field: 'payload.line_items[0]', description: 'is too deep' }],
          },
        },
      },
    ]);
    const results = await connect(server).events.createBatch([
      item('reused', { idempotencyKey: 'k-1' }),
      item('fine'),
      item('broken'),
    ]);
    expect(results[0]?.error).toBeInstanceOf(IdempotencyKeyReusedError);
    expect(results[0]?.error).toMatchObject({
      code: 'already_exists',
      reason: 'IDEMPOTENCY_KEY_REUSED',
      requestId: 'req_1',
      eventId: 'evt_1',
      expiresAt: new Date('2026-05-26T12:00:00Z'),
      idempotencyKey: 'k-1',
      retryable: false,
    });
    expect(results[1]?.event?.type).toBe('fine');
    expect(results[2]?.error).toBeInstanceOf(InvalidRequestError);
    expect(results[2]?.error).toMatchObject({
      violations: [{ field: 'payload.lineItems[0]', description: 'is too deep' }],
      message: expect.stringContaining('(request id req_1)'),
    });
    expect(server.requests()).toBe(1);
  });

  test('refuses an item that cannot be sent by itself, and sends the others', async () => {
    const server = await startScriptedServer();
    const results = await connect(server).events.createBatch([
      item('a', { payload: { amount: Number.NaN } }),
      item('b'),
      item('c', { idempotencyKey: '' }),
      undefined as unknown as BatchItem,
    ]);
    expect(results.map(({ error }) => error?.name)).toEqual([
      'InvalidRequestError',
      undefined,
      'InvalidOptionError',
      'InvalidRequestError',
    ]);
    expect(results[0]?.error?.message).toContain('payload.amount is NaN');
    expect(server.batches[0]?.requests.map(({ type }) => type)).toEqual(['b']);
  });

  test('sends nothing when no item can be sent', async () => {
    const server = await startScriptedServer();
    const [result] = await connect(server).events.createBatch([item(1 as unknown as string)]);
    expect(result?.error?.message).toBe('type must be a string.');
    expect(server.requests()).toBe(0);
  });

  test.each<[string, unknown]>([
    ['no items', []],
    ['501 items', Array(501).fill(item('a'))],
    ['no array', item('a')],
    ['nothing', undefined],
  ])('refuses %s, and sends nothing', async (_, items) => {
    const server = await startScriptedServer();
    const creating = connect(server).events.createBatch(items as BatchItem[]);
    await expect(creating).rejects.toMatchObject({
      name: 'InvalidRequestError',
      message: 'items must be an array of 1–500 events.',
    });
    expect(server.requests()).toBe(0);
  });

  test('takes 500 items', async () => {
    const server = await startScriptedServer();
    const results = await connect(server).events.createBatch(Array(500).fill(item('a')));
    expect(results.map(({ event }) => event?.sequence)).toEqual(
      Array.from({ length: 500 }, (_, index) => index + 1),
    );
  });
});
