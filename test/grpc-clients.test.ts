import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  Client,
  type ClientOptions,
  compressionAlgorithms,
  credentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BadRequestSchema,
  ErrorInfoSchema,
} from '../gen/typescript/google/rpc/error_details_pb.ts';
import { EventsService } from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { Health } from '../gen/typescript/health/v1/health_pb.ts';
import { createEventPath } from './support/connect-post.ts';
import { callUnary, metadataOf, serviceErrorOf } from './support/grpc-js-client.ts';
import { sendGrpc } from './support/grpc-send.ts';
import { grpcEnvelope } from './support/http2-frames.ts';
import { payloadOfBytes } from './support/payloads.ts';
import { findDetail, readRpcStatus } from './support/rpc-status.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
let client: Client;
beforeAll(async () => {
  service = await startTestService();
  client = dial();
});
afterAll(async () => {
  client.close();
  await service.stop();
});

const dial = (options: ClientOptions = {}) =>
  new Client(`${service.host}:${service.port}`, credentials.createInsecure(), options);
const { createEvent, retrieveEvent } = EventsService.method;
const authorized = (headers: Record<string, string> = {}) =>
  metadataOf({ authorization: `Bearer ${service.secretKey}`, ...headers });
const newEvent = (fields: object = {}) => ({
  workspaceId: service.workspaceId,
  type: 'invoice.paid',
  payload: { invoice_id: 'inv_1', amount: 1.5 },
  ...fields,
});
const detailsOf = (error: ServiceError) =>
  readRpcStatus(error.metadata.get('grpc-status-details-bin')[0] as Buffer);

describe('a client of grpc-js', () => {
  test('creates an event and retrieves it', async () => {
    const created = await callUnary(client, createEvent, newEvent(), authorized());
    expect(created.event?.payload).toEqual(newEvent().payload);
    const id = created.event?.id ?? '';
    const found = await callUnary(client, retrieveEvent, { id }, authorized());
    expect(found.event).toEqual(created.event);
  });

  test('gets a replay for a repeated idempotency key, and an error for a reused one', async () => {
    const request = newEvent({ idempotencyKey: 'grpc-js' });
    const first = await callUnary(client, createEvent, request, authorized());
    const second = await callUnary(client, createEvent, request, authorized());
    expect(second).toEqual({ ...first, replayed: true });
    const error = await serviceErrorOf(
      callUnary(client, createEvent, { ...request, type: 'other' }, authorized()),
    );
    expect(error.code).toBe(status.ALREADY_EXISTS);
    expect(findDetail(detailsOf(error), ErrorInfoSchema)).toMatchObject({
      reason: 'IDEMPOTENCY_KEY_REUSED',
      domain: 'harbor.events',
      metadata: { event_id: first.event?.id },
    });
  });

  test('reads a refusal with its google.rpc.Status', async () => {
    const error = await serviceErrorOf(
      callUnary(client, createEvent, newEvent({ type: '', workspaceId: 'x' }), authorized()),
    );
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    const details = detailsOf(error);
    expect(details).toMatchObject({ code: status.INVALID_ARGUMENT, message: error.details });
    expect(findDetail(details, ErrorInfoSchema)).toMatchObject({
      reason: 'INVALID_REQUEST',
      domain: 'harbor.events',
    });
    const fields = findDetail(details, BadRequestSchema)?.fieldViolations.map(({ field }) => field);
    expect(fields?.toSorted()).toEqual(['type', 'workspace_id']);
  });

  test('reads a message that ends with a space of its own request', async () => {
    const error = await serviceErrorOf(
      callUnary(client, Health.method.check, { service: 'x ' }, authorized()),
    );
    expect(error.details).toBe('unknown service x ');
  });

  test.each([
    ['no key', {}, 'API_KEY_MISSING'],
    ['a malformed key', { authorization: 'Bearer nonsense' }, 'API_KEY_INVALID'],
  ])('is UNAUTHENTICATED with %s', async (_what, headers, reason) => {
    const error = await serviceErrorOf(
      callUnary(client, createEvent, newEvent(), metadataOf(headers)),
    );
    expect(error.code).toBe(status.UNAUTHENTICATED);
    expect(findDetail(detailsOf(error), ErrorInfoSchema)?.reason).toBe(reason);
  });

  test('is told PERMISSION_DENIED and the scope that its key lacks', async () => {
    const authorization = `Bearer ${await service.issueKey({ scopes: ['events:read'] })}`;
    const call = () =>
      serviceErrorOf(callUnary(client, createEvent, newEvent(), metadataOf({ authorization })));
    // The first call looks the key up; the second one is refused as soon as its headers are there.
    for (const error of [await call(), await call()]) {
      expect(error.code).toBe(status.PERMISSION_DENIED);
      expect(findDetail(detailsOf(error), ErrorInfoSchema)?.metadata).toEqual({
        scope: 'events:write',
      });
    }
  });

  test('is told UNIMPLEMENTED for an RPC that does not exist', async () => {
    const unknown = { ...createEvent, name: 'DeleteEvent' };
    const error = await serviceErrorOf(callUnary(client, unknown, newEvent(), authorized()));
    expect(error.code).toBe(status.UNIMPLEMENTED);
  });

  test('may compress what it sends', async () => {
    const gzip = compressionAlgorithms.gzip;
    const compressing = dial({ 'grpc.default_compression_algorithm': gzip });
    const { event } = await callUnary(compressing, createEvent, newEvent(), authorized());
    expect(event?.payload).toEqual(newEvent().payload);
    compressing.close();
  });

  test('reads the largest event with its default limit of 4 MiB', async () => {
    const largest = [payloadOfBytes(262_144), { n: new Array(131_000).fill(1) }];
    for (const payload of largest) {
      const { event } = await callUnary(client, createEvent, newEvent({ payload }), authorized());
      const id = event?.id ?? '';
      const found = await callUnary(client, retrieveEvent, { id }, authorized());
      expect(found.event?.payload).toEqual(payload);
    }
  });

  test('has 300 calls answered at once on one connection', async () => {
    const calls = Array.from({ length: 300 }, () =>
      callUnary(client, createEvent, newEvent(), authorized()),
    );
    const ids = (await Promise.all(calls)).map(({ event }) => event?.id);
    expect(new Set(ids).size).toBe(300);
  });

  test('goes on with its connection after an error about a long member name', async () => {
    const payload = { ['n'.repeat(100_000)]: '\0' };
    const error = await serviceErrorOf(
      callUnary(client, createEvent, newEvent({ payload }), authorized()),
    );
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    const { event } = await callUnary(client, createEvent, newEvent(), authorized());
    expect(event?.id).toMatch(/^evt_/);
  });

  test('works over TLS', async () => {
    const read = (name: string) => readFileSync(join(import.meta.dirname, 'support/tls', name));
    const cert = read('cert.pem');
    const secure = await startTestService(
      { tls: { cert: `${cert}`, key: `${read('key.pem')}` } },
      service.database,
    );
    const address = `localhost:${secure.port}`;
    const secureClient = new Client(address, credentials.createSsl(cert));
    const { event } = await callUnary(secureClient, createEvent, newEvent(), authorized());
    expect(event?.id).toMatch(/^evt_/);
    secureClient.close();
    await secure.stop();
  });
});

describe('a deadline', () => {
  /** Makes creates wait for the counter of the workspace, until the lock is given back. */
  async function holdWorkspace(): Promise<() => Promise<void>> {
    const holder = await service.database.connect();
    await holder.query('begin');
    await holder.query('select from workspaces where id = $1 for update', [service.workspaceId]);
    return async () => {
      await holder.query('rollback');
      await holder.end();
    };
  }

  test('ends a create that waits; the repetition with its key is one event', async () => {
    const request = newEvent({ type: 'late', idempotencyKey: 'deadline' });
    const giveBack = await holdWorkspace();
    const deadline = Date.now() + 300;
    const error = await serviceErrorOf(
      callUnary(client, createEvent, request, authorized(), { deadline }),
    );
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    await giveBack();
    const { event } = await callUnary(client, createEvent, request, authorized());
    const rows = await service.database.query(`select from events where type = 'late'`);
    expect(rows).toHaveLength(1);
    expect(event?.type).toBe('late');
  });

  test('ends a list, whatever it waits for', async () => {
    const holder = await service.database.connect();
    await holder.query('begin; lock table events in access exclusive mode');
    const list = EventsService.method.listEvents;
    const request = toBinary(list.input, create(list.input, { workspaceId: service.workspaceId }));
    const path = `/${EventsService.typeName}/${list.name}`;
    const startedAt = performance.now();
    const answers = await Promise.all(
      // More than are read at once.
      Array.from({ length: 12 }, () =>
        sendGrpc(service, path, [grpcEnvelope(request)], { 'grpc-timeout': '200m' }),
      ),
    );
    expect(new Set(answers.map((answer) => answer.status))).toEqual(
      new Set([`${status.DEADLINE_EXCEEDED}`]),
    );
    expect(performance.now() - startedAt).toBeLessThan(1_500);
    await holder.query('rollback');
    await holder.end();
  });

  test('is kept by the service, for a client that only states it', async () => {
    const giveBack = await holdWorkspace();
    const { payload, ...fields } = newEvent();
    const message = toBinary(createEvent.input, create(createEvent.input, { ...fields, payload }));
    const startedAt = performance.now();
    const answer = await sendGrpc(service, createEventPath, [grpcEnvelope(message)], {
      'grpc-timeout': '200m',
    });
    expect(answer.status).toBe(`${status.DEADLINE_EXCEEDED}`);
    expect(performance.now() - startedAt).toBeLessThan(1_500);
    const details = readRpcStatus(
      Buffer.from(`${answer.headers['grpc-status-details-bin']}`, 'base64'),
    );
    expect(findDetail(details, ErrorInfoSchema)?.reason).toBe('DEADLINE_EXCEEDED');
    await giveBack();
  });

  test.each(['', 'soon', '1x', '-1S', '999999999S'])('%j is refused', async (timeout) => {
    const answer = await sendGrpc(service, createEventPath, [grpcEnvelope(Buffer.alloc(0))], {
      'grpc-timeout': timeout,
    });
    expect(answer.status).toBe(`${status.INVALID_ARGUMENT}`);
  });
});
