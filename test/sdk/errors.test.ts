import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import {
  AuthenticationError,
  Harbor,
  HarborError,
  IdempotencyKeyReusedError,
  InternalError,
  InvalidRequestError,
  NotFoundError,
  OverloadedError,
  PermissionError,
  RateLimitedError,
  UnavailableError,
} from '../../sdk/src/index.ts';
import { serviceError, startScriptedServer } from './scripted-server.ts';

const secretKey = 'hbr_sk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK';

/** An address, and what calls reject with where it answers so. */
const elsewhere = 'http://127.0.0.1:9';
function failAt(status: number, type: string | undefined, body = '') {
  const headers = type === undefined ? {} : { 'content-type': type };
  const fetch = async () => new Response(body === '' ? null : body, { status, headers });
  const { events } = new Harbor({ secretKey, baseUrl: elsewhere, maxRetries: 0, fetch });
  const failureOf = (call: Promise<unknown>) =>
    call.then(
      () => expect.unreachable('the call succeeded'),
      (thrown: HarborError) => thrown,
    );
  return {
    create: () => failureOf(events.create({ workspaceId: 'ws_1', type: 'a', payload: {} })),
    stream: () =>
      failureOf(events.subscribe({ workspaceId: 'ws_1' })[Symbol.asyncIterator]().next()),
  };
}

/** What create rejects with when the service answers with the error. */
async function failWith(error: ConnectError, payloadKeys?: 'preserve'): Promise<HarborError> {
  const server = await startScriptedServer([error]);
  const harbor = new Harbor({ secretKey, baseUrl: server.baseUrl, maxRetries: 0, payloadKeys });
  const event = { workspaceId: 'ws_1', type: 'invoice.paid', payload: {} };
  return harbor.events.create(event, { idempotencyKey: 'inv_1-paid' }).then(
    () => expect.unreachable('the create succeeded'),
    (thrown: HarborError) => thrown,
  );
}

describe('errors', () => {
  test.each([
    [Code.InvalidArgument, 'INVALID_REQUEST', 'invalid_argument', InvalidRequestError],
    [Code.InvalidArgument, 'PAYLOAD_TOO_LARGE', 'invalid_argument', InvalidRequestError],
    [Code.ResourceExhausted, 'REQUEST_TOO_LARGE', 'resource_exhausted', InvalidRequestError],
    [Code.Unauthenticated, 'API_KEY_INVALID', 'unauthenticated', AuthenticationError],
    [Code.PermissionDenied, 'SCOPE_MISSING', 'permission_denied', PermissionError],
    [Code.NotFound, 'WORKSPACE_NOT_FOUND', 'not_found', NotFoundError],
    [Code.AlreadyExists, 'IDEMPOTENCY_KEY_REUSED', 'already_exists', IdempotencyKeyReusedError],
    [Code.Unavailable, 'DATABASE_UNAVAILABLE', 'unavailable', UnavailableError],
    [Code.DeadlineExceeded, 'DEADLINE_EXCEEDED', 'deadline_exceeded', UnavailableError],
    [Code.Internal, 'INTERNAL', 'internal', InternalError],
    [Code.AlreadyExists, 'A_REASON_OF_TOMORROW', 'already_exists', HarborError],
    [Code.Unimplemented, 'UNIMPLEMENTED', 'unimplemented', HarborError],
  ])('code %i with %s is %s, in its class', async (code, reason, name, errorClass) => {
    const error = await failWith(serviceError(code, reason));
    expect(error.constructor).toBe(errorClass);
    expect(error.name).toBe(errorClass.name);
    expect(error).toBeInstanceOf(HarborError);
    expect(error).toMatchObject({ code: name, reason, requestId: 'req_1' });
    expect(error.cause).toBeInstanceOf(ConnectError);
    expect(error.stack).toMatch(new RegExp(`^${errorClass.name}: refused: ${reason}`));
    expect(error.message).toContain('(request id req_1)');
  });

  test('a reused idempotency key names the event that holds it, and until when', async () => {
    const metadata = { event_id: 'evt_1', expires_at: '2026-05-26T12:00:00Z' };
    const refused = serviceError(Code.AlreadyExists, 'IDEMPOTENCY_KEY_REUSED', { metadata });
    expect(await failWith(refused)).toMatchObject({
      eventId: 'evt_1',
      expiresAt: new Date('2026-05-26T12:00:00Z'),
      idempotencyKey: 'inv_1-paid',
      metadata,
    });
  });

  test('a rate limit says which and whose it is, and how long to wait', async () => {
    const limited = serviceError(Code.ResourceExhausted, 'RATE_LIMITED', {
      retryDelayMs: 350,
      metadata: { limit: 'creates_per_second', of: 'workspace' },
    });
    const error = await failWith(limited);
    expect(error).toBeInstanceOf(RateLimitedError);
    expect(error).toBeInstanceOf(OverloadedError);
    expect(error).toMatchObject({
      name: 'RateLimitedError',
      limit: 'creates_per_second',
      limitOf: 'workspace',
      retryAfterMs: 350,
      retryable: true,
    });
  });

  test('an overloaded service says how long to wait', async () => {
    const busy = serviceError(Code.ResourceExhausted, 'OVERLOADED', { retryDelayMs: 1250 });
    const error = await failWith(busy);
    expect(error).toBeInstanceOf(OverloadedError);
    expect(error).toMatchObject({ retryAfterMs: 1250, retryable: true });
  });

  test('violations name fields in the words of the caller', async () => {
    const violations = [
      { field: 'workspace_id', description: 'must match ^ws_' },
      { field: 'payload.line_items[0].unit_price', description: 'is not finite' },
    ];
    const refused = () => serviceError(Code.InvalidArgument, 'INVALID_REQUEST', { violations });
    const error = await failWith(refused());
    expect(error).toMatchObject({
      violations: [
        { field: 'workspaceId', description: 'must match ^ws_' },
        { field: 'payload.lineItems[0].unitPrice', description: 'is not finite' },
      ],
      message: expect.stringContaining('payload.lineItems[0].unitPrice: is not finite'),
    });
    expect(await failWith(refused(), 'preserve')).toMatchObject({
      violations: [
        { field: 'workspaceId', description: 'must match ^ws_' },
        { field: 'payload.line_items[0].unit_price', description: 'is not finite' },
      ],
    });
  });

  test('an unknown outcome says which key makes it safe to create the event again', async () => {
    const error = await failWith(serviceError(Code.Unavailable, 'DATABASE_UNAVAILABLE'));
    expect(error.message).toContain('Create it again with idempotencyKey "inv_1-paid"');
    const refused = await failWith(serviceError(Code.NotFound, 'WORKSPACE_NOT_FOUND'));
    expect(refused.message).not.toContain('again');
  });

  test.each([
    [405, 'text/html', '<h1>no</h1>', 'HTTP 405'],
    [400, undefined, '', 'HTTP 400'],
    [500, 'text/plain', 'oops', 'HTTP 500'],
    [200, 'text/html', '<h1>Hello</h1>', 'the content type text/html'],
    [200, 'application/json', '{}', 'the content type application/json'],
    [200, undefined, '', 'no content type'],
  ])(
    'an answer with %i and %s says that this is not the service',
    async (status, type, body, what) => {
      const { create, stream } = failAt(status, type, body);
      for (const error of [await create(), await stream()]) {
        expect(error.reason).toBeUndefined();
        expect(error.message).toContain(
          `${elsewhere} does not look like Harbor Events: it answered with ${what}. Check that baseUrl is its address, and what stands between here and there.`,
        );
      }
    },
  );

  test('an answer in JSON that is not of the service says so, with what it was told', async () => {
    const told = await failAt(404, 'application/json', '{"message":"Not Found"}').create();
    expect(told.message).toContain(
      'does not look like Harbor Events: it answered with "Not Found". Check that baseUrl',
    );
    const untold = await failAt(401, 'application/json', '{"error":"x"}').create();
    expect(untold.message).toContain(
      'does not look like Harbor Events: it answered with unauthenticated. Check that baseUrl',
    );
  });

  test('a path or a host that the service does not know is not told as something else', async () => {
    const problem = (status: number) => failAt(status, 'application/problem+json', '{}').create();
    expect((await problem(404)).message).toBe(
      `${elsewhere} does not know this call. Check that baseUrl is the address of Harbor Events.`,
    );
    expect((await problem(400)).message).not.toContain('does not look like');
  });

  test('a proxy whose service is away is not taken for something else', async () => {
    const error = await failAt(502, 'text/html', '<h1>Bad Gateway</h1>').create();
    expect(error).toMatchObject({ retryable: true, reason: undefined });
    expect(error.message).not.toContain('does not look like');
  });

  test('an error of something between has no reason', async () => {
    const error = await failWith(new ConnectError('no healthy upstream', Code.Unavailable));
    expect(error).toMatchObject({ reason: undefined, metadata: {}, retryable: true });
  });

  test('no error shows the secret key', async () => {
    const { inspect } = await import('node:util');
    const error = await failWith(serviceError(Code.Unauthenticated, 'API_KEY_INVALID'));
    expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(secretKey.slice(7));
  });
});
