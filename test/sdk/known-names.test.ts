import { describe, expect, test } from 'vitest';
import {
  type BatchItem,
  type Event,
  Harbor,
  type ListQuery,
  type NewEvent,
  PermissionError,
} from '../../sdk/src/index.ts';
import { startScriptedServer } from './scripted-server.ts';

const secretKey = 'hbr_sk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK';
const secret = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
const workspaceId = 'ws_1';
const endpointId = 'whe_1';
const now = new Date('2026-05-25T12:00:00Z');

let requests = 0;
/** Whose every request is refused: what arrives here was sent. */
const harbor = new Harbor({
  secretKey,
  fetch: async () => {
    requests += 1;
    const headers = { 'content-type': 'application/json' };
    return new Response('{"code":"permission_denied"}', { status: 403, headers });
  },
});

/** A call with what it has to be given, and each field and option that it takes besides. */
interface Call {
  readonly required?: object;
  readonly fields?: object;
  readonly options?: object;
  /** As in plain JavaScript: types say nothing. */
  readonly run: (request: never, options: never) => unknown;
}

const usual = { signal: new AbortController().signal, timeoutMs: 1_000, maxRetries: 0 };
const page = { pageSize: 10, pageToken: 'a' };
const facts = { subject: 'inv_1', occurredAt: now, metadata: { origin: 'billing' } };
const range = { afterSequence: 1, untilSequence: 2, createdAfter: now, createdBefore: now };
const rateLimits = {
  createsPerSecond: 1,
  createBytesPerSecond: 1_024,
  burstSeconds: 1,
  streams: 1,
};
const settings = {
  description: 'a',
  typePatterns: ['a'],
  subject: 'inv_1',
  headers: { 'x-tenant': 'one' },
  maxInFlight: 1,
  maxPerSecond: 1,
  timeoutMs: 1_000,
  ordering: 'none',
};
const body = JSON.stringify({
  ...{ id: 'evt_1', type: 'a', workspace_id: workspaceId, payload: {} },
  ...{ created_at: now.toISOString(), sequence: 1 },
});

/** A call that is about one thing, by its id. */
function byId(run: (id: string, options: never) => unknown, options: object = {}): Call {
  return { options: { ...usual, ...options }, run: (_, given) => run('id_1', given) };
}

const { events, apiKeys, caller, webhookEndpoints, deliveries, replays, workspaces, webhooks } =
  harbor;

const calls: Readonly<Record<string, Call>> = {
  'events.create': {
    required: { workspaceId, type: 'a', payload: {} },
    fields: facts,
    options: { ...usual, idempotencyKey: 'a' },
    run: (event, options) => events.create(event, options),
  },
  'events.createBatch': {
    required: { workspaceId, type: 'a', payload: {} },
    fields: { ...facts, idempotencyKey: 'a' },
    options: usual,
    run: async (item, options) => {
      const [result] = await events.createBatch([item], options);
      if (result?.error !== undefined) throw result.error;
    },
  },
  'events.retrieve': byId((id, options) => events.retrieve(id, options), { workspaceId }),
  'events.erase': byId((id, options) => events.erase(id, options), { workspaceId }),
  'events.eraseBySubject': {
    required: { workspaceId, subject: 'inv_1' },
    options: { ...usual, onErased: () => {} },
    run: (query, options) => events.eraseBySubject(query, options),
  },
  'events.list': {
    required: { workspaceId },
    fields: {
      ...{ typePatterns: ['a'], types: ['a'], subject: 'inv_1', createdAfter: now },
      ...{ createdBefore: now, afterSequence: 1, order: 'asc', ...page },
    },
    options: usual,
    run: (query, options) => events.list(query, options),
  },
  'events.subscribe': {
    required: { workspaceId },
    fields: { afterSequence: 1, typePatterns: ['a'], types: ['a'], subject: 'inv_1' },
    options: { ...usual, onLive: () => {}, onReconnect: () => {} },
    run: (query, options) => events.subscribe(query, options)[Symbol.asyncIterator]().next(),
  },
  'apiKeys.create': {
    required: { kind: 'restricted' },
    fields: {
      ...{ displayName: 'a', scopes: ['events:read'], workspaceIds: [workspaceId] },
      ...{ typePatterns: ['a'], expiresAt: now, rateLimits },
    },
    options: { ...usual, requestId: 'a' },
    run: (apiKey, options) => apiKeys.create(apiKey, options),
  },
  'apiKeys.retrieve': byId((id, options) => apiKeys.retrieve(id, options)),
  'apiKeys.list': {
    fields: page,
    options: usual,
    run: (query, options) => apiKeys.list(query, options),
  },
  'apiKeys.update': {
    fields: { displayName: 'a', expiresAt: now, rateLimits },
    options: usual,
    run: (changes, options) => apiKeys.update('key_1', changes, options),
  },
  'apiKeys.rotate': byId((id, options) => apiKeys.rotate(id, options), { overlapMs: 1 }),
  'apiKeys.revoke': byId((id, options) => apiKeys.revoke(id, options)),
  'caller.retrieve': byId((_, options) => caller.retrieve(options)),
  'webhookEndpoints.create': {
    required: { workspaceId, url: 'https://example.com' },
    fields: { ...settings, startAfterSequence: 1, startAfterTime: now, catchUpMaxPerSecond: 1 },
    options: { ...usual, requestId: 'a' },
    run: (endpoint, options) => webhookEndpoints.create(endpoint, options),
  },
  'webhookEndpoints.retrieve': byId((id, options) => webhookEndpoints.retrieve(id, options)),
  'webhookEndpoints.list': {
    required: { workspaceId },
    fields: page,
    options: usual,
    run: (query, options) => webhookEndpoints.list(query, options),
  },
  'webhookEndpoints.update': {
    fields: { url: 'https://example.com', ...settings },
    options: usual,
    run: (changes, options) => webhookEndpoints.update(endpointId, changes, options),
  },
  'webhookEndpoints.delete': byId((id, options) => webhookEndpoints.delete(id, options)),
  'webhookEndpoints.pause': byId((id, options) => webhookEndpoints.pause(id, options)),
  'webhookEndpoints.resume': byId((id, options) => webhookEndpoints.resume(id, options), {
    fromNow: true,
  }),
  'webhookEndpoints.revealSecret': byId((id, options) =>
    webhookEndpoints.revealSecret(id, options),
  ),
  'webhookEndpoints.rotateSecret': byId(
    (id, options) => webhookEndpoints.rotateSecret(id, options),
    { overlapMs: 1 },
  ),
  'webhookEndpoints.sendTestEvent': byId((id, options) =>
    webhookEndpoints.sendTestEvent(id, options),
  ),
  'deliveries.list': {
    required: { endpointId },
    fields: { eventId: 'evt_1', state: 'failed', ...page },
    options: usual,
    run: (query, options) => deliveries.list(query, options),
  },
  'deliveries.retrieve': byId((id, options) => deliveries.retrieve(id, options)),
  'deliveries.retry': byId((id, options) => deliveries.retry(id, options)),
  'deliveries.retryFailed': {
    required: { endpointId },
    fields: range,
    options: { ...usual, requestId: 'a' },
    run: (failed, options) => deliveries.retryFailed(failed, options),
  },
  'replays.create': {
    required: { endpointId },
    fields: { ...range, typePatterns: ['a'], onlyFailed: true, maxPerSecond: 1 },
    options: { ...usual, requestId: 'a' },
    run: (replay, options) => replays.create(replay, options),
  },
  'replays.count': {
    required: { endpointId },
    fields: { ...range, typePatterns: ['a'], onlyFailed: true, maxPerSecond: 1 },
    options: usual,
    run: (replay, options) => replays.count(replay, options),
  },
  'replays.retrieve': byId((id, options) => replays.retrieve(id, options)),
  'replays.list': {
    required: { endpointId },
    fields: page,
    options: usual,
    run: (query, options) => replays.list(query, options),
  },
  'replays.pause': byId((id, options) => replays.pause(id, options)),
  'replays.resume': byId((id, options) => replays.resume(id, options)),
  'replays.cancel': byId((id, options) => replays.cancel(id, options)),
  'workspaces.create': {
    fields: { id: workspaceId, displayName: 'a', retentionDays: 7, rateLimits },
    options: usual,
    run: (workspace, options) => workspaces.create(workspace, options),
  },
  'workspaces.retrieve': byId((id, options) => workspaces.retrieve(id, options)),
  'workspaces.list': {
    fields: page,
    options: usual,
    run: (query, options) => workspaces.list(query, options),
  },
  'workspaces.update': {
    fields: { displayName: 'a', retentionDays: 7, rateLimits },
    options: usual,
    run: (changes, options) => workspaces.update(workspaceId, changes, options),
  },
  'workspaces.delete': byId((id, options) => workspaces.delete(id, options)),
  'webhooks.unwrap': {
    options: { toleranceSeconds: 10, payloadKeys: 'preserve' },
    run: async (_, options) =>
      webhooks.unwrap(body, await webhooks.sign(body, secret), secret, options),
  },
  'webhooks.verify': {
    options: { toleranceSeconds: 10 },
    run: async (_, options) =>
      webhooks.verify(body, await webhooks.sign(body, secret), secret, options),
  },
  'webhooks.sign': {
    options: { timestamp: now, id: 'evt_1' },
    run: (_, options) => webhooks.sign(body, secret, options),
  },
};

const names = Object.keys(calls);
const namesWithFields = names.filter((name) => calls[name]?.fields ?? calls[name]?.required);

/** What the call has failed with, and how often something was sent. */
async function outcomeOf(name: string, fields: unknown = {}, options: unknown = {}) {
  const { required = {}, run } = calls[name] as Call;
  const request = typeof fields === 'object' ? { ...required, ...fields } : fields;
  requests = 0;
  try {
    await run(request as never, options as never);
    return { error: undefined, requests };
  } catch (error) {
    return { error, requests };
  }
}

/** That the call was made, and sent; of webhooks nothing is. */
function made(name: string) {
  return name.startsWith('webhooks.')
    ? { error: undefined, requests: 0 }
    : { error: { name: 'PermissionError' }, requests: 1 };
}

test('every call of a client is looked at here', () => {
  const parts = Object.entries(harbor).flatMap(([part, of]) =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(of))
      .filter((method) => method !== 'constructor')
      .map((method) => `${part}.${method}`),
  );
  expect(parts.length).toBeGreaterThan(40);
  expect(parts.sort()).toEqual(names.toSorted());
});

describe('an option that a call does not have is refused by its name, and nothing is sent', () => {
  test.each(names)('by %s', async (name) => {
    const [option = ''] = Object.keys(calls[name]?.options ?? {});
    expect(await outcomeOf(name, {}, { [`${option}s`]: 1 })).toMatchObject({
      error: {
        name: 'InvalidOptionError',
        option: `${option}s`,
        message: `${option}s is not an option; did you mean ${option}?`,
      },
      requests: 0,
    });
    expect(await outcomeOf(name, {}, { nonsense: undefined })).toMatchObject(made(name));
  });
});

describe('every option that a call has is taken', () => {
  test.each(names)('by %s', async (name) => {
    const options = Object.entries(calls[name]?.options ?? {});
    expect(options.length).toBeGreaterThan(0);
    for (const [option, value] of options) {
      expect(await outcomeOf(name, {}, { [option]: value })).toMatchObject(made(name));
    }
  });
});

describe('a field that a request does not have is refused by its name, and nothing is sent', () => {
  test.each(namesWithFields)('by %s', async (name) => {
    expect(await outcomeOf(name, { nonsense: 1 })).toMatchObject({
      error: {
        name: 'InvalidRequestError',
        reason: 'INVALID_REQUEST',
        violations: [
          {
            field: 'nonsense',
            description: expect.stringMatching(/^is not a field of this request; there are /),
          },
        ],
      },
      requests: 0,
    });
    expect(await outcomeOf(name, { nonsense: undefined })).toMatchObject(made(name));
  });
});

describe('every field that a request has is taken', () => {
  test.each(namesWithFields)('by %s', async (name) => {
    const fields = Object.entries(calls[name]?.fields ?? {});
    for (const one of [{}, ...fields.map((field) => Object.fromEntries([field]))]) {
      expect(await outcomeOf(name, one)).toMatchObject(made(name));
    }
  });
});

describe('what is no object is not passed over as a whole', () => {
  test.each<[string, unknown]>([
    ['a text', 'inv_1-paid'],
    ['a number', 5_000],
    ['a callback', () => {}],
    ['null', null],
    ['a list', ['a']],
    ['a signal', new AbortController().signal],
  ])('%s in the place of options', async (_, options) => {
    for (const name of names) {
      expect(await outcomeOf(name, {}, options)).toMatchObject({
        error: { name: 'InvalidOptionError', message: 'options must be an object.' },
        requests: 0,
      });
    }
  });

  test.each<[string, unknown]>([
    ['a text', 'Acme'],
    ['a number', 7],
  ])('%s in the place of a request', async (_, request) => {
    for (const name of namesWithFields) {
      expect(await outcomeOf(name, request)).toMatchObject({
        error: { name: 'InvalidRequestError', message: 'request must be an object.' },
        requests: 0,
      });
    }
  });
});

describe('the name that was probably meant is told', () => {
  test.each([
    ['events.list', 'typePattern', 'did you mean typePatterns?'],
    ['events.list', 'type', 'did you mean typePatterns?'],
    ['events.list', 'workspace_id', 'did you mean workspaceId?'],
    ['events.subscribe', 'after', 'did you mean afterSequence?'],
    ['apiKeys.create', 'workspace_ids', 'did you mean workspaceIds?'],
    ['apiKeys.create', 'types', /; there are kind, .+, typePatterns, expiresAt and rateLimits\.$/],
    ['workspaces.update', 'retention', 'did you mean retentionDays?'],
    ['workspaces.update', 'signal', /; there are displayName, retentionDays and rateLimits\.$/],
    ['webhookEndpoints.update', 'maxInflight', 'did you mean maxInFlight?'],
    ['deliveries.retryFailed', 'createdafter', 'did you mean createdAfter?'],
    ['events.create', 'constructor', /; there are workspaceId, type, .+ and metadata\.$/],
  ])('by %s, of %s', async (name, field, hint) => {
    const { error } = await outcomeOf(name, { [field]: 'a' });
    expect(error).toHaveProperty('message', expect.stringMatching(hint));
  });

  test.each([
    ['rateLimits.creates_per_second', { creates_per_second: 1 }, 'did you mean createsPerSecond?'],
    ['rateLimits.reads', { reads: 1 }, /; there are createsPerSecond, .+ and streams\.$/],
  ])('of %s', async (field, limits, hint) => {
    for (const name of ['apiKeys.create', 'apiKeys.update', 'workspaces.create']) {
      const { error, requests: sent } = await outcomeOf(name, { rateLimits: limits });
      const description = expect.stringMatching(hint);
      expect(error).toMatchObject({ violations: [{ field, description }] });
      expect(sent).toBe(0);
    }
  });
});

describe('what belongs into the options is told so where it is among the fields', () => {
  test.each([
    ['events.create', 'idempotencyKey', 'idempotencyKey'],
    ['events.create', 'idempotency_key', 'idempotencyKey'],
    ['events.createBatch', 'timeoutMs', 'timeoutMs'],
    ['events.list', 'signal', 'signal'],
    ['events.subscribe', 'onLive', 'onLive'],
    ['events.eraseBySubject', 'onErased', 'onErased'],
    ['apiKeys.create', 'requestId', 'requestId'],
    ['apiKeys.list', 'maxRetries', 'maxRetries'],
    ['webhookEndpoints.create', 'requestId', 'requestId'],
    ['replays.create', 'requestId', 'requestId'],
    ['deliveries.retryFailed', 'requestId', 'requestId'],
  ])('by %s, of %s', async (name, field, option) => {
    const { error, requests: sent } = await outcomeOf(name, { [field]: 'a' });
    expect(error).toHaveProperty(
      'message',
      `${field} is not a field of this request; ${option} belongs into the options, the second argument.`,
    );
    expect(sent).toBe(0);
  });
});

test('an item of a batch with an unknown field is refused by itself, and the others are recorded', async () => {
  const server = await startScriptedServer();
  const client = new Harbor({ secretKey, baseUrl: server.baseUrl });
  const item = { workspaceId, type: 'a', payload: {} };
  const items = [item, { ...item, idempotency_key: 'a' }, { ...item, idempotencyKey: 'a' }];
  const results = await client.events.createBatch(items as BatchItem[]);
  expect(results.map(({ ok }) => ok)).toEqual([true, false, true]);
  expect(results[1]?.error).toMatchObject({
    name: 'InvalidRequestError',
    violations: [
      { field: 'idempotency_key', description: expect.stringMatching(/idempotencyKey/) },
    ],
  });
  expect(server.batches[0]?.requests).toHaveLength(2);
  const misplaced = client.events.createBatch([item], { idempotencyKey: 'a' } as never);
  await expect(misplaced).rejects.toMatchObject({ option: 'idempotencyKey' });
  expect(server.requests()).toBe(1);
});

test('names inside of payload, metadata and headers are the caller’s own', async () => {
  const named = { nonsense: '1', idempotencyKey: '2', typePattern: '3' };
  for (const field of ['payload', 'metadata']) {
    const outcome = await outcomeOf('events.create', { [field]: named });
    expect(outcome).toMatchObject(made('events.create'));
  }
  const outcome = await outcomeOf('webhookEndpoints.create', { headers: named });
  expect(outcome).toMatchObject(made('webhookEndpoints.create'));
});

test('only what an object has itself counts, and shows when it is walked through', async () => {
  class Paid implements NewEvent {
    readonly workspaceId = workspaceId;
    readonly payload = {};
    get type() {
      return 'invoice.paid';
    }
    get nonsense() {
      return 1;
    }
  }
  const event = Object.assign(new Paid(), { [Symbol('nonsense')]: 1 });
  Object.defineProperty(event, 'hidden', { value: 1, enumerable: false });
  await expect(harbor.events.create(event)).rejects.toBeInstanceOf(PermissionError);
  const inherited: ListQuery = Object.assign(Object.create({ nonsense: 1 }), { workspaceId });
  await expect(harbor.events.list(inherited)).rejects.toBeInstanceOf(PermissionError);
  // What is known is taken from there all the same.
  const defaults = Object.create({ timeoutMs: 0 });
  await expect(harbor.events.create(event, defaults)).rejects.toMatchObject({
    option: 'timeoutMs',
  });
});

test('an event that was read is not created again as a whole, but by what is named of it', async () => {
  const server = await startScriptedServer();
  const client = new Harbor({ secretKey, baseUrl: server.baseUrl });
  const occurredAt = '2026-05-25T11:58:03.000125Z';
  const created = await client.events.create({
    ...{ workspaceId, type: 'invoice.paid', payload: { invoiceId: 'inv_1' } },
    ...{ subject: 'inv_1', occurredAt, metadata: { origin: 'billing' } },
  });
  const read: Event = await client.events.retrieve(created.id);
  const sent = server.requests();
  for (const whole of [created, read, { ...read, workspaceId: 'ws_2' }]) {
    await expect(client.events.create(whole)).rejects.toMatchObject({
      violations: [
        {
          field: 'id',
          description:
            'is not a field of this request; there are workspaceId, type, payload, subject, occurredAt and metadata.',
        },
      ],
    });
    const [result] = await client.events.createBatch([whole]);
    expect(result?.error).toMatchObject({ violations: [{ field: 'id' }] });
  }
  expect(server.requests()).toBe(sent);

  const { type, payload, subject, metadata, occurredAtExact } = read;
  const again = await client.events.create(
    {
      ...{ workspaceId: 'ws_2', type, payload, subject, metadata },
      occurredAt: occurredAtExact ?? read.createdAt,
    },
    { idempotencyKey: read.id },
  );
  expect(again).toMatchObject({ type, payload, subject, metadata, occurredAtExact: occurredAt });
  expect(server.creates.at(-1)?.idempotencyKey).toBe(read.id);
});

test('what administers is not changed by what was read as a whole', async () => {
  const endpoint = { id: endpointId, url: 'https://example.com', status: 'paused' };
  const { error } = await outcomeOf('webhookEndpoints.update', endpoint);
  expect(error).toMatchObject({ violations: [{ field: 'id' }] });
});
