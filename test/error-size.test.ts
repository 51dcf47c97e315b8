import { once } from 'node:events';
import { connect } from 'node:http2';
import { create, type DescMethodUnary, toBinary } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { Client, credentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiKeysService } from '../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import {
  BatchCreateEventsResultSchema,
  EventsService,
} from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createEventsClient, createTransport, wires } from './support/clients.ts';
import { refusalOf } from './support/errors.ts';
import { callUnary, metadataOf, serviceErrorOf } from './support/grpc-js-client.ts';
import { problemOf, sendRequest } from './support/http-request.ts';
import { envelope } from './support/raw-call.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
let restrictedKey: string;
beforeAll(async () => {
  service = await startTestService();
  restrictedKey = await service.issueKey({ scopes: ['events:write'], typePatterns: ['pub.*'] });
});
afterAll(() => service.stop());

const { createEvent, listEvents, retrieveEvent } = EventsService.method;
const { createApiKey } = ApiKeysService.method;

interface Refused {
  readonly what: string;
  readonly method: DescMethodUnary;
  readonly request: Record<string, unknown>;
  readonly headers?: () => Record<string, string>;
}

const event = (fields: object) => ({ workspaceId: 'ws_test', type: 'a', payload: {}, ...fields });
const long = '"é*\u0001 '.repeat(2_000);
const refused: readonly Refused[] = [
  {
    what: '308 broken items in three lists',
    method: createApiKey,
    request: {
      kind: 2,
      scopes: new Array(8).fill(long),
      workspaceIds: Array.from({ length: 100 }, (_, index) => `${index}${long}`),
      typePatterns: Array.from({ length: 100 }, (_, index) => `${index}${long}`),
      displayName: long,
    },
  },
  {
    what: '500 broken patterns',
    method: listEvents,
    request: { workspaceId: 'ws_test', typePatterns: new Array(500).fill(long.slice(0, 300)) },
  },
  {
    what: 'long texts in each field',
    method: createEvent,
    request: event({ workspaceId: long, type: long, idempotencyKey: long }),
  },
  {
    what: 'a long subject and 16 pairs of long names',
    method: createEvent,
    request: event({
      subject: long,
      metadata: Object.fromEntries(
        Array.from({ length: 16 }, (_, index) => [`${index}${long}`, long]),
      ),
    }),
  },
  {
    what: 'a path of long names',
    method: createEvent,
    request: event({ payload: { ['é'.repeat(9_000)]: { ['"'.repeat(9_000)]: '\0' } } }),
  },
  {
    what: 'a type of 255 emoji that the key may not write',
    method: createEvent,
    request: event({ type: '😀'.repeat(255) }),
    headers: () => ({ authorization: `Bearer ${restrictedKey}` }),
  },
  { what: 'a long id', method: retrieveEvent, request: { id: long } },
  {
    what: 'a page token',
    method: listEvents,
    request: { workspaceId: 'ws_test', pageToken: 'é'.repeat(1_024) },
  },
  {
    what: 'a long timeout',
    method: retrieveEvent,
    request: { id: 'evt_1' },
    headers: () => ({ 'grpc-timeout': '"'.repeat(3_000) }),
  },
  {
    what: 'a long encoding',
    method: retrieveEvent,
    request: { id: 'evt_1' },
    headers: () => ({ 'grpc-encoding': '"'.repeat(3_000) }),
  },
];

/** The bytes of the trailers as a client counts them: 32 a field on top, by RFC 9113. */
async function trailersOf({ method, request, headers }: Refused) {
  const session = connect(service.baseUrl);
  const call = session.request({
    ':method': 'POST',
    ':path': `/${method.parent.typeName}/${method.name}`,
    'content-type': 'application/grpc+proto',
    authorization: `Bearer ${service.secretKey}`,
    ...headers?.(),
  });
  call.end(envelope(0, toBinary(method.input, create(method.input, request))));
  call.resume();
  const fields: Record<string, unknown> = {};
  call.on('response', (head) => {
    if ('grpc-status' in head) Object.assign(fields, head);
  });
  call.on('trailers', (trailers) => void Object.assign(fields, trailers));
  await once(call, 'close');
  session.close();
  const entries = Object.entries(fields);
  const bytes = entries.reduce(
    (sum, [name, value]) => sum + name.length + `${value}`.length + 32,
    0,
  );
  return { status: Number(fields['grpc-status']), bytes };
}

describe.each(refused)('an error about $what', (one) => {
  test('takes less than 4 KB of trailers', async () => {
    const { status, bytes } = await trailersOf(one);
    expect(status).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(4_096);
  });

  test('reaches a client of grpc-js whole, and its connection goes on', async () => {
    const client = new Client(`${service.host}:${service.port}`, credentials.createInsecure());
    const authorization = `Bearer ${service.secretKey}`;
    const metadata = metadataOf({ authorization, ...one.headers?.() });
    const { request } = one;
    const error = await serviceErrorOf(callUnary(client, one.method, request, metadata));
    expect(error.metadata.get('grpc-status-details-bin')).toHaveLength(1);
    const found = serviceErrorOf(
      callUnary(client, retrieveEvent, { id: 'evt_1' }, metadataOf({ authorization })),
    );
    expect((await found).code).toBe(status.NOT_FOUND);
    client.close();
  });
});

const patterns = (count: number) => Array.from({ length: count }, (_, index) => `*${index}`);

describe.each(wires)('over %s', (wire) => {
  test('an error names the first of many broken rules, and tells how many there are', async () => {
    const client = createClient(
      ApiKeysService,
      createTransport(wire, service.baseUrl, service.secretKey),
    );
    const call = client.createApiKey({
      kind: 2,
      scopes: ['events:read'],
      typePatterns: patterns(60),
    });
    const { code, reason, fields, metadata, message } = await refusalOf(call);
    expect({ code, reason }).toEqual({ code: 'InvalidArgument', reason: 'INVALID_REQUEST' });
    expect(fields.slice(0, 5)).toEqual([0, 1, 2, 3, 4].map((index) => `type_patterns[${index}]`));
    expect(fields.length).toBeLessThanOrEqual(16);
    expect(metadata).toEqual({ violations: '60' });
    expect(message).toMatch(/^60 rules are broken, at first: type_patterns\[0\]: must /);
  });

  test('a list that is too long is one violation, however many of its items are broken', async () => {
    const call = createEventsClient(service, wire).listEvents({
      workspaceId: service.workspaceId,
      typePatterns: patterns(100_000),
    });
    expect(await refusalOf(call)).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: ['type_patterns'],
      message: 'type_patterns: must have at most 20 items, not 100000',
    });
  });

  test('an error of an item of a batch is as small', async () => {
    const long = '"é* '.repeat(2_000);
    const item = { workspaceId: long, type: long, idempotencyKey: long, payload: { [long]: '\0' } };
    const { results } = await createEventsClient(service, wire).batchCreateEvents({
      requests: [item, event({ payload: { ['é'.repeat(9_000)]: '\0' } }), event({})],
    });
    const sizes = results.map((one) => toBinary(BatchCreateEventsResultSchema, one).length);
    expect(results.map(({ result }) => result.case)).toEqual(['error', 'error', 'created']);
    expect(Math.max(...sizes)).toBeLessThan(4_096);
  });
});

test('REST tells as much of an error as the RPCs', async () => {
  const types = patterns(20).join(',');
  const answer = await sendRequest(service, `/v1/events?workspace_id=ws_test&types=${types}`);
  const { violations = [], metadata } = problemOf(answer);
  expect(violations.length).toBeGreaterThan(5);
  expect(violations.length).toBeLessThanOrEqual(16);
  expect(metadata).toEqual({ violations: '20' });
});
