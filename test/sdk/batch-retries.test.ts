import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import {
  type BatchItem,
  Harbor,
  type HarborError,
  type HarborOptions,
  UnavailableError,
} from '../../sdk/src/index.ts';
import {
  type ScriptedServer,
  type Step,
  serviceError,
  startScriptedServer,
} from './scripted-server.ts';

const secretKey = 'hbr_sk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK';
const unavailable = serviceError(Code.Unavailable, 'DATABASE_UNAVAILABLE', { retryDelayMs: 1 });
const down = { code: Code.Unavailable, reason: 'DATABASE_UNAVAILABLE', message: 'not now' };
const busy = { code: Code.ResourceExhausted, reason: 'OVERLOADED', message: 'too much' };

function connect(server: ScriptedServer, options: Partial<HarborOptions> = {}): Harbor {
  return new Harbor({ secretKey, baseUrl: server.baseUrl, ...options });
}

function item(type: string): BatchItem {
  return { workspaceId: 'ws_1', type, payload: {} };
}

/** The types of each batch that reached the service. */
function sentTypes(server: ScriptedServer): string[][] {
  return server.batches.map((batch) => batch.requests.map(({ type }) => type));
}

/** The idempotency keys of each batch that reached the service. */
function sentKeys(server: ScriptedServer): string[][] {
  return server.batches.map((batch) => batch.requests.map((request) => request.idempotencyKey));
}

describe('retries of a batch', () => {
  test.each<[string, Step]>([
    ['the service is unavailable', unavailable],
    ['the connection is reset', 'reset'],
    ['the answer is cut off', 'cut'],
    ['the answer is lost', 'lose'],
    ['a proxy answers 503 with a page', 'proxy'],
  ])('record each event once when %s twice', async (_, step) => {
    const server = await startScriptedServer([step, step]);
    const results = await connect(server).events.createBatch([item('a'), item('b')]);
    expect(results.map(({ event }) => event?.sequence)).toEqual([1, 2]);
    expect(server.requests()).toBe(3);
    expect(new Set(sentKeys(server).map((keys) => keys.join())).size).toBe(1);
  });

  test('send only the items again whose own error may pass, with the same keys', async () => {
    const server = await startScriptedServer([
      { refuse: { b: down, c: busy } },
      { refuse: { c: busy } },
    ]);
    const results = await connect(server).events.createBatch(['a', 'b', 'c', 'd'].map(item));
    expect(results.map(({ event }) => [event?.type, event?.sequence])).toEqual([
      ['a', 1],
      ['b', 3],
      ['c', 4],
      ['d', 2],
    ]);
    expect(sentTypes(server)).toEqual([['a', 'b', 'c', 'd'], ['b', 'c'], ['c']]);
    const [, b, c] = sentKeys(server)[0] ?? [];
    expect(sentKeys(server).slice(1)).toEqual([[b, c], [c]]);
  });

  test('end after maxRetries, with the last error of each item and the key to go on with', async () => {
    const refuse: Step = { refuse: { b: busy } };
    const server = await startScriptedServer([refuse, refuse, refuse]);
    const results = await connect(server, { maxRetries: 1 }).events.createBatch(
      ['a', 'b'].map(item),
    );
    expect(server.requests()).toBe(2);
    expect(results[0]?.ok).toBe(true);
    expect(results[1]?.error).toMatchObject({
      name: 'OverloadedError',
      retryable: true,
      idempotencyKey: sentKeys(server)[0]?.[1],
    });
  });

  test('wait as long as the item asks that asks for the longest wait', async () => {
    const asks = (seconds: bigint) => ({ ...busy, retryDelay: { seconds, nanos: 0 } });
    // A wait of more than 30 s is left to the caller: whoever obeys it sends nothing again.
    const server = await startScriptedServer([{ refuse: { a: down, b: asks(31n), c: asks(0n) } }]);
    const results = await connect(server).events.createBatch(['a', 'b', 'c', 'd'].map(item));
    expect(server.requests()).toBe(1);
    expect(results.map(({ error }) => error?.retryAfterMs)).toEqual([
      undefined,
      31_000,
      0,
      undefined,
    ]);
    expect(results.map(({ ok }) => ok)).toEqual([false, false, false, true]);
  });

  test('keep the results of an earlier attempt when a later one fails as a whole', async () => {
    const server = await startScriptedServer([{ refuse: { b: busy } }, 'reset', 'reset']);
    const results = await connect(server).events.createBatch(['a', 'b'].map(item));
    expect(results[0]?.event?.type).toBe('a');
    expect(results[1]?.error).toMatchObject({
      name: 'UnavailableError',
      reason: 'CONNECTION_FAILED',
      idempotencyKey: sentKeys(server)[0]?.[1],
      message: expect.stringContaining('(attempt 3)'),
    });
  });

  test('reject when no attempt was answered, with the keys that make it safe to go on', async () => {
    const server = await startScriptedServer(['lose', 'lose', 'lose']);
    const harbor = connect(server);
    const items = [item('a'), { ...item('b'), idempotencyKey: 'b-1' }];
    const error = await harbor.events.createBatch(items).then(
      () => expect.unreachable('the batch succeeded'),
      (thrown: HarborError) => thrown,
    );
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error.message).toContain('idempotencyKeys');
    expect(error.idempotencyKeys).toEqual(sentKeys(server)[0]);
    const again = items.map((it, index) => ({
      ...it,
      idempotencyKey: error.idempotencyKeys?.[index],
    }));
    const results = await harbor.events.createBatch(again);
    expect(results.map(({ event }) => [event?.sequence, event?.replayed])).toEqual([
      [1, true],
      [2, true],
    ]);
  });

  test('end at once, with its reason, when the signal is aborted', async () => {
    const controller = new AbortController();
    const server = await startScriptedServer([{ refuse: { a: busy } }, 'stall'], (count) => {
      if (count === 2) controller.abort(new Error('the user left'));
    });
    const creating = connect(server).events.createBatch([item('a')], {
      signal: controller.signal,
    });
    await expect(creating).rejects.toThrow('the user left');
  });
});
