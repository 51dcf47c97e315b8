import { createServer } from 'node:net';
import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { createCaller } from '../../sdk/src/caller.ts';
import { Harbor, type HarborOptions, UnavailableError } from '../../sdk/src/index.ts';
import { parseOptions } from '../../sdk/src/options.ts';
import { createErrorTranslation } from '../../sdk/src/to-harbor-error.ts';
import { wait } from '../../sdk/src/wait.ts';
import {
  type ScriptedServer,
  type Step,
  serviceError,
  startScriptedServer,
} from './scripted-server.ts';

const secretKey = 'hbr_sk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK';
const invoicePaid = { workspaceId: 'ws_018f3a2e4b9c', type: 'invoice.paid', payload: {} };

const unavailable = serviceError(Code.Unavailable, 'DATABASE_UNAVAILABLE', { retryDelayMs: 1 });
const overloaded = serviceError(Code.ResourceExhausted, 'OVERLOADED', { retryDelayMs: 1 });
const deadline = serviceError(Code.DeadlineExceeded, 'DEADLINE_EXCEEDED');

function connect(server: ScriptedServer, options: Partial<HarborOptions> = {}): Harbor {
  return new Harbor({ secretKey, baseUrl: server.baseUrl, ...options });
}

describe('retries', () => {
  test.each<[string, Step]>([
    ['the service is unavailable', unavailable],
    ['the service is overloaded and says when to come back', overloaded],
    ['the service ran out of time', deadline],
    ['the connection is reset', 'reset'],
    ['the answer is cut off', 'cut'],
    ['the answer is lost', 'lose'],
    ['a proxy answers 503 with a page', 'proxy'],
  ])('creates one event when %s twice', async (_, step) => {
    const server = await startScriptedServer([step, step]);
    const event = await connect(server).events.create(invoicePaid);
    expect(event.sequence).toBe(1);
    expect(server.requests()).toBe(3);
    expect(new Set(server.creates.map((create) => create.idempotencyKey)).size).toBe(1);
  });

  test('takes the lost event for the answer when the first attempt had recorded it', async () => {
    const server = await startScriptedServer(['lose']);
    const event = await connect(server).events.create(invoicePaid);
    expect(event).toMatchObject({ sequence: 1, replayed: true });
    expect(server.creates).toHaveLength(2);
  });

  test('sends an attempt again that takes longer than timeoutMs', async () => {
    const server = await startScriptedServer(['stall']);
    const event = await connect(server).events.create(invoicePaid, { timeoutMs: 200 });
    expect(event.sequence).toBe(1);
    expect(server.creates).toHaveLength(2);
    expect(server.creates[1]?.idempotencyKey).toBe(server.creates[0]?.idempotencyKey);
  });

  test('retrieves an event after a reset and an unavailable service', async () => {
    const server = await startScriptedServer(['answer', 'reset', unavailable]);
    const harbor = connect(server);
    const created = await harbor.events.create(invoicePaid);
    expect((await harbor.events.retrieve(created.id)).id).toBe(created.id);
    expect(server.requests()).toBe(4);
  });

  test.each<[Code, string]>([
    [Code.InvalidArgument, 'PAYLOAD_INVALID'],
    [Code.Unauthenticated, 'API_KEY_INVALID'],
    [Code.PermissionDenied, 'SCOPE_MISSING'],
    [Code.NotFound, 'WORKSPACE_NOT_FOUND'],
    [Code.AlreadyExists, 'IDEMPOTENCY_KEY_REUSED'],
    [Code.ResourceExhausted, 'REQUEST_TOO_LARGE'],
    [Code.Canceled, 'CANCELLED'],
    [Code.Unimplemented, 'UNIMPLEMENTED'],
    [Code.Internal, 'INTERNAL'],
  ])('does not repeat a call that failed with code %i (%s)', async (code, reason) => {
    const server = await startScriptedServer([serviceError(code, reason)]);
    await expect(connect(server).events.create(invoicePaid)).rejects.toMatchObject({
      reason,
      retryable: false,
    });
    expect(server.requests()).toBe(1);
  });

  test('sends a call at most 1 + maxRetries times, and the options of the call win', async () => {
    const server = await startScriptedServer(Array<Step>(20).fill(unavailable));
    const harbor = connect(server, { maxRetries: 1 });
    await expect(harbor.events.create(invoicePaid)).rejects.toThrow(UnavailableError);
    expect(server.requests()).toBe(2);
    await expect(harbor.events.create(invoicePaid, { maxRetries: 3 })).rejects.toThrow();
    expect(server.requests()).toBe(6);
    await expect(harbor.events.create(invoicePaid, { maxRetries: 0 })).rejects.toThrow();
    expect(server.requests()).toBe(7);
  });

  test('says so at once when the service asks for more than 30 s', async () => {
    const busy = serviceError(Code.ResourceExhausted, 'RATE_LIMITED', { retryDelayMs: 60_500 });
    const server = await startScriptedServer([busy]);
    await expect(connect(server).events.create(invoicePaid)).rejects.toMatchObject({
      name: 'RateLimitedError',
      retryAfterMs: 60_500,
      retryable: true,
    });
    expect(server.requests()).toBe(1);
  });
});

describe('a call that cannot reach the service', () => {
  test('says the address, what happened, and the key to create the event again with', async () => {
    const port = await closedPort();
    const harbor = new Harbor({ secretKey, baseUrl: `http://127.0.0.1:${port}`, maxRetries: 1 });
    const error = await harbor.events.create(invoicePaid).then(String, (e: UnavailableError) => e);
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error).toMatchObject({
      code: 'unavailable',
      reason: 'CONNECTION_FAILED',
      retryable: true,
      requestId: undefined,
      idempotencyKey: expect.stringMatching(/^[0-9a-f]{32}$/),
      message: expect.stringMatching(
        /^No answer from http:\/\/127\.0\.0\.1:\d+: connect ECONNREFUSED .+ \(attempt 2\)\. .+ Create it again with idempotencyKey "[0-9a-f]{32}"/,
      ),
    });
  });

  test('names the timeout when no attempt is answered in time', async () => {
    const server = await startScriptedServer(['stall']);
    const creating = connect(server).events.create(invoicePaid, {
      timeoutMs: 100,
      maxRetries: 0,
      idempotencyKey: 'inv_1-paid',
    });
    await expect(creating).rejects.toMatchObject({
      name: 'UnavailableError',
      code: 'deadline_exceeded',
      reason: 'DEADLINE_EXCEEDED',
      idempotencyKey: 'inv_1-paid',
      message: expect.stringContaining('within 100 ms'),
    });
  });

  test.each([
    new ReferenceError('agent is not defined'),
    new TypeError('fetch failed', { cause: new ReferenceError('agent is not defined') }),
    Object.assign(new TypeError('agent is not defined'), { code: 'ERR_INVALID_ARG_TYPE' }),
  ])('does not repeat a mistake in a custom fetch (%s)', async (mistake) => {
    let calls = 0;
    const fetch = () => {
      calls += 1;
      return Promise.reject(mistake);
    };
    const harbor = new Harbor({ secretKey, baseUrl: 'http://127.0.0.1:9', fetch });
    const creating = harbor.events.create(invoicePaid);
    await expect(creating).rejects.toMatchObject({ name: 'InternalError', retryable: false });
    expect(calls).toBe(1);
  });

  test('follows no redirect, and says where baseUrl should point', async () => {
    const server = await startScriptedServer(['redirect']);
    await expect(connect(server).events.create(invoicePaid)).rejects.toMatchObject({
      name: 'InvalidOptionError',
      option: 'baseUrl',
      message: expect.stringContaining('redirect to https://events.example.com/'),
    });
    expect(server.requests()).toBe(1);
  });
});

describe('a signal', () => {
  test('ends the wait between two attempts at once, with its reason', async () => {
    const controller = new AbortController();
    const reason = new Error('the user left');
    const later = serviceError(Code.Unavailable, 'SHUTTING_DOWN', { retryDelayMs: 29_000 });
    const delaysMs: number[] = [];
    let attempts = 0;
    const call = createCaller({
      maxRetries: 2,
      timeoutMs: 10_000,
      random: () => 0.5,
      wait: (ms, signal) => {
        const waiting = wait(ms, signal);
        delaysMs.push(ms);
        controller.abort(reason);
        return waiting;
      },
      toHarborError: createErrorTranslation(parseOptions({ secretKey })),
    });
    const send = () => {
      attempts += 1;
      return Promise.reject(later);
    };
    const startedAt = performance.now();
    await expect(call(send, { signal: controller.signal })).rejects.toBe(reason);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(delaysMs).toEqual([29_050]);
    expect(attempts).toBe(1);
  });

  test('ends an attempt under way at once, and no other follows', async () => {
    const controller = new AbortController();
    const server = await startScriptedServer(['stall'], () => controller.abort());
    const creating = connect(server).events.create(invoicePaid, { signal: controller.signal });
    await expect(creating).rejects.toMatchObject({ name: 'AbortError' });
    expect(server.requests()).toBe(1);
  });

  test('that is aborted already lets nothing be sent', async () => {
    const server = await startScriptedServer();
    const signal = AbortSignal.abort();
    await expect(connect(server).events.create(invoicePaid, { signal })).rejects.toBe(
      signal.reason,
    );
    expect(server.requests()).toBe(0);
  });
});

/** A port of loopback that nothing listens on: it was free a moment ago. */
function closedPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject).listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = address !== null && typeof address === 'object' ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
