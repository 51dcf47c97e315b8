import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEventPath } from './support/connect-post.ts';
import { sendRequest } from './support/http-request.ts';
import { startTestService, type TestService } from './support/test-service.ts';

const app = 'https://app.example.com';
const stranger = 'https://stranger.example.com';

let some: TestService;
let everyone: TestService;
let nobody: TestService;
beforeAll(async () => {
  some = await startTestService({ corsOrigins: [app, 'http://localhost:5173'] });
  everyone = await startTestService({ corsOrigins: ['*'] }, some.database);
  nobody = await startTestService({ corsOrigins: [] }, some.database);
});
afterAll(async () => {
  await Promise.all([everyone.stop(), nobody.stop()]);
  await some.stop();
});

const preflight = (service: TestService, origin: string, path = createEventPath) =>
  sendRequest(service, path, {
    method: 'OPTIONS',
    headers: {
      authorization: '',
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,connect-protocol-version',
    },
  });
const create = (service: TestService, headers: Record<string, string>) =>
  sendRequest(service, '/v1/events', {
    headers,
    body: { workspace_id: service.workspaceId, type: 'browsed', payload: {} },
  });
const list = (header: string | undefined) => (header ?? '').toLowerCase().split(/, */);

describe('an app of an allowed origin', () => {
  test.each(['/v1/events', createEventPath])('may ask before it calls %s', async (path) => {
    const { status, headers } = await preflight(some, app, path);
    expect(status).toBe(204);
    expect(headers['access-control-allow-origin']).toBe(app);
    expect(list(headers['access-control-allow-methods'])).toEqual(
      expect.arrayContaining(['get', 'post', 'patch', 'delete']),
    );
    expect(list(headers['access-control-allow-headers'])).toEqual(
      expect.arrayContaining([
        'authorization',
        'content-type',
        'connect-protocol-version',
        'connect-timeout-ms',
        'grpc-timeout',
        'x-grpc-web',
        'idempotency-key',
        'x-request-id',
      ]),
    );
    expect(Number(headers['access-control-max-age'])).toBeGreaterThan(0);
    expect(list(headers.vary)).toContain('origin');
  });

  test('reads the answers of its calls, and the headers that matter', async () => {
    const { status, headers } = await create(some, { origin: app });
    expect(status).toBe(201);
    expect(headers['access-control-allow-origin']).toBe(app);
    expect(list(headers['access-control-expose-headers'])).toEqual(
      expect.arrayContaining([
        'x-request-id',
        'idempotent-replayed',
        'location',
        'retry-after',
        'ratelimit',
        'ratelimit-policy',
        'grpc-status',
        'grpc-message',
        'grpc-status-details-bin',
      ]),
    );
    expect(list(headers.vary)).toContain('origin');
  });

  test.each([
    ['without a key', { authorization: '' }, 401],
    ['of another content type', { 'content-type': 'text/plain' }, 415],
  ])('reads why a call %s was refused', async (_what, header, refused) => {
    const { status, headers } = await create(some, { origin: app, ...header });
    expect(status).toBe(refused);
    expect(headers['access-control-allow-origin']).toBe(app);
    expect(list(headers['access-control-expose-headers'])).toContain('x-request-id');
  });
});

describe('an app of any other origin', () => {
  test.each([stranger, 'null', `${app}.evil.com`, 'http://app.example.com', app.toUpperCase()])(
    '%s is not let in',
    async (origin) => {
      const asked = await preflight(some, origin);
      expect(asked.headers).not.toHaveProperty('access-control-allow-origin');
      const called = await create(some, { origin });
      expect(called.headers).not.toHaveProperty('access-control-allow-origin');
      expect(list(called.headers.vary)).toContain('origin');
    },
  );
});

describe('where every origin is allowed', () => {
  test.each([app, stranger])('%s is let in, without credentials of the browser', async (origin) => {
    for (const { headers } of [
      await preflight(everyone, origin),
      await create(everyone, { origin }),
    ]) {
      expect(['*', origin]).toContain(headers['access-control-allow-origin']);
      expect(headers).not.toHaveProperty('access-control-allow-credentials');
    }
  });
});

describe('where no origin is allowed', () => {
  test('nothing speaks of origins, and calls that name one are answered', async () => {
    const called = await create(nobody, { origin: app });
    expect(called.status).toBe(201);
    expect(called.headers).not.toHaveProperty('access-control-allow-origin');
    const asked = await preflight(nobody, app);
    expect(asked.status).toBeGreaterThanOrEqual(400);
    expect(asked.headers).not.toHaveProperty('access-control-allow-origin');
  });
});

test('a call that names no origin is answered as if there were no browsers', async () => {
  const { status, headers } = await create(some, {});
  expect(status).toBe(201);
  expect(headers).not.toHaveProperty('access-control-allow-origin');
});
