import { once } from 'node:events';
import { connect } from 'node:http2';
import { createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventsService } from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { newSecret } from '../src/api-keys/index.ts';
import { createTransport, wires } from './support/clients.ts';
import { createEventPath } from './support/connect-post.ts';
import { refusalOf } from './support/errors.ts';
import { type HttpAnswer, problemOf, sendRequest } from './support/http-request.ts';
import { openRawSocket } from './support/raw-socket.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const event = () => ({ workspaceId: service.workspaceId, type: 'authenticated', payload: {} });
const restEvent = () => ({ workspace_id: service.workspaceId, type: 'authenticated', payload: {} });

/** A create whose answer depends on the key alone: the request id is given. */
const createWith = (secretKey: string, at: TestService = service): Promise<HttpAnswer> =>
  sendRequest(at, '/v1/events', {
    headers: { authorization: `Bearer ${secretKey}`, 'x-request-id': 'the-same' },
    body: restEvent(),
  });

async function revoke(secretKey: string, in_: TestService): Promise<void> {
  const hint = `%${secretKey.slice(-4)}`;
  const rows = await in_.database.query<{ count: number }>(
    `with revoked as (update api_keys set revoked_at = now() where hint like $1 returning 1)
     select count(*)::int from revoked`,
    [hint],
  );
  expect(rows).toEqual([{ count: 1 }]);
}

const wellFormed = newSecret('secret');
const lastDigit = wellFormed.endsWith('0') ? '1' : '0';
const malformed = {
  'of the wrong form': 'Bearer not-a-key',
  'that is too short': `Bearer ${wellFormed.slice(0, -1)}`,
  'with a bad checksum': `Bearer ${wellFormed.slice(0, -1)}${lastDigit}`,
  'of another scheme': `Basic ${wellFormed}`,
  'without a scheme': wellFormed,
  'with something behind it': `Bearer ${wellFormed} x`,
};

describe('with a database whose API keys cannot be read', () => {
  let blind: TestService;
  beforeAll(async () => {
    blind = await startTestService();
    await blind.database.query('alter table api_keys rename to api_keys_out_of_reach');
  });
  afterAll(() => blind.stop());

  test('a well-formed key cannot be judged, which shows that the look-up would fail', async () => {
    expect((await createWith(newSecret('secret'), blind)).status).toBeGreaterThanOrEqual(500);
  });

  test.each(wires)('a call without a key is refused over %s', async (wire) => {
    const events = createClient(EventsService, createTransport(wire, blind.baseUrl));
    const refusal = await refusalOf(events.createEvent(event()));
    expect(refusal).toMatchObject({ code: 'Unauthenticated', reason: 'API_KEY_MISSING' });
  });

  test('a call without the header is told that a key is missing', async () => {
    const answer = await sendRequest(blind, '/v1/events', {
      headers: { authorization: '' },
      body: restEvent(),
    });
    expect(problemOf(answer)).toMatchObject({ status: 401, reason: 'API_KEY_MISSING' });
    expect(answer.headers['www-authenticate']).toBe('Bearer');
  });

  test.each(Object.entries(malformed))('a key %s is refused', async (_what, authorization) => {
    const answer = await sendRequest(blind, '/v1/events', {
      headers: { authorization },
      body: restEvent(),
    });
    expect(problemOf(answer)).toMatchObject({
      status: 401,
      code: 'unauthenticated',
      reason: 'API_KEY_INVALID',
    });
  });
});

describe('a call without a key, of which only the headers are sent', () => {
  test.each([
    ['REST', '/v1/events', 'application/json', /^HTTP\/1.1 401 /],
    ['Connect', createEventPath, 'application/proto', /^HTTP\/1.1 401 /],
    [
      'gRPC-Web',
      createEventPath,
      'application/grpc-web+proto',
      /\r\ngrpc-status: 16\r\n|grpc-status:16/,
    ],
  ])('is answered at once by %s, before its body of 1 GB', async (_face, path, type, refusal) => {
    const socket = await openRawSocket(service);
    const startedAt = performance.now();
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Type: ${type}\r\nContent-Length: 1000000000\r\n\r\n`,
    );
    expect(await socket.until(refusal)).toMatch(refusal);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    await socket.ended();
  });

  test.each([
    ['REST', '/v1/events', 'application/json', { ':status': 401 }],
    ['Connect', createEventPath, 'application/proto', { ':status': 401 }],
    ['gRPC', createEventPath, 'application/grpc+proto', { 'grpc-status': '16' }],
  ])('is answered at once by %s over HTTP/2', async (_face, path, type, refusal) => {
    const session = connect(service.baseUrl);
    const startedAt = performance.now();
    const call = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': type,
      'content-length': '1000000000',
    });
    const seen: object = {};
    call.on('response', (headers) => Object.assign(seen, headers));
    call.on('trailers', (trailers) => Object.assign(seen, trailers));
    call.resume();
    await once(call, 'close');
    session.destroy();
    expect(seen).toMatchObject(refusal);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});

describe('keys that no longer work', () => {
  test('unknown, revoked and expired ones are answered alike, byte for byte', async () => {
    const revoked = await service.issueKey({ kind: 'secret' });
    await revoke(revoked, service);
    const expired = await service.issueKey({
      scopes: ['events:write'],
      expiresAt: new Date(Date.now() - 1_000),
    });
    const answers = [
      await createWith(newSecret('secret')),
      await createWith(revoked),
      await createWith(expired),
      await createWith('malformed'),
    ];
    const [unknown, ...others] = answers.map(({ status, headers: { date, ...rest }, text }) => ({
      status,
      headers: rest,
      text,
    }));
    expect(problemOf(answers[0] as HttpAnswer)).toMatchObject({
      status: 401,
      reason: 'API_KEY_INVALID',
    });
    for (const other of others) expect(other).toEqual(unknown);
  });

  test('a key ends at its time, although it was seen to be valid', async () => {
    const expiresAt = new Date(Date.now() + 700);
    const key = await service.issueKey({ scopes: ['events:write'], expiresAt });
    expect((await createWith(key)).status).toBe(201);
    await expect
      .poll(() => createWith(key).then(({ status }) => status), { timeout: 3_000 })
      .toBe(401);
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt.getTime());
  });

  test('a revocation works within 5 seconds in every process, under steady use', async () => {
    const other = await startTestService({}, service.database);
    try {
      const key = await service.issueKey({ kind: 'secret' });
      const statuses = () =>
        Promise.all([service, other].map(async (at) => (await createWith(key, at)).status));
      expect(await statuses()).toEqual([201, 201]);
      await revoke(key, service);
      const revokedAt = performance.now();
      await expect.poll(statuses, { timeout: 5_000, interval: 50 }).toEqual([401, 401]);
      expect(performance.now() - revokedAt).toBeLessThan(5_000);
      expect(await statuses()).toEqual([401, 401]);
    } finally {
      await other.stop();
    }
  });
});

test('a flood with one unknown key costs one look-up', async () => {
  const holder = await service.database.connect();
  await holder.query('begin; lock table api_keys in access exclusive mode');
  const key = newSecret('secret');
  const flood = Promise.all(Array.from({ length: 50 }, () => createWith(key)));
  const lookUps = `select count(*)::int from pg_stat_activity
    where datname = $1 and wait_event_type = 'Lock' and query like '%from api_keys%'`;
  const waiting = () => service.database.query<{ count: number }>(lookUps, [service.database.name]);
  await expect.poll(waiting, { timeout: 1_000, interval: 20 }).toEqual([{ count: 1 }]);
  // Answered after all of the flood was received, since it was sent after it.
  expect((await sendRequest(service, '/healthz')).status).toBe(200);
  expect(await waiting()).toEqual([{ count: 1 }]);
  await holder.query('rollback');
  await holder.end();
  expect(new Set((await flood).map(({ status }) => status))).toEqual(new Set([401]));
});
