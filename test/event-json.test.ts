import { create, toJson } from '@bufbuild/protobuf';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EventSchema } from '../gen/typescript/harbor/events/v1/event_pb.ts';
import { Harbor } from '../sdk/src/index.ts';
import { toJsonLine } from '../src/cli/event-line.ts';
import { toEventMessage } from '../src/events/event-message.rpc.ts';
import { fromEventProtoJson, toEventJson } from '../src/events/index.ts';
import { startTestService, type TestService, testWorkspaceId } from './support/test-service.ts';

let service: TestService;

beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

function call(path: string, body?: string): Promise<Response> {
  return fetch(service.baseUrl + path, {
    headers: { authorization: `Bearer ${service.secretKey}`, 'content-type': 'application/json' },
    ...(body !== undefined && { method: 'POST', body }),
  });
}

/** The data of the first message of a stream. */
async function readData(response: Response): Promise<string | undefined> {
  let text = '';
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    if (text.includes('\n\n')) break;
  }
  return /^data: (.*)$/m.exec(text)?.[1];
}

test('REST, its streams and the command line show an event in the same words, without what is unset', async () => {
  const payload = '{"invoice_id":"inv_0192ac4e8b1d","amount_cents":4200,"nothing":"","none":null}';
  const created = await call(
    '/v1/events',
    `{"workspace_id":"${testWorkspaceId}","type":"invoice.paid","payload":${payload}}`,
  );
  const text = await created.text();
  const { id, created_at, api_key_id } = JSON.parse(text);
  expect(text).toBe(
    `{"id":"${id}","type":"invoice.paid","workspace_id":"${testWorkspaceId}","payload":${payload},` +
      `"created_at":"${created_at}","sequence":1,"api_key_id":"${api_key_id}"}`,
  );
  expect(await (await call(`/v1/events/${id}`)).text()).toBe(text);
  const list = await call(`/v1/events?workspace_id=${testWorkspaceId}`);
  expect(await list.text()).toContain(`{"events":[${text}],"next_page_token":"",`);
  const stream = await call(`/v1/events/stream?workspace_id=${testWorkspaceId}&after_sequence=0`);
  expect(await readData(stream)).toBe(text);
  const harbor = new Harbor({
    secretKey: service.secretKey,
    baseUrl: service.baseUrl,
    payloadKeys: 'preserve',
  });
  expect(toJsonLine(await harbor.events.retrieve(id))).toBe(text);
});

test.each([
  ['whole seconds', '2026-05-25T12:00:00Z'],
  ['milliseconds', '2026-05-25T12:00:00.070Z'],
])('a time in %s is written as ProtoJSON writes it', (_, time) => {
  const event = {
    id: 'evt_01hzy9q7x8f4kq3d2m5n6p7r8s',
    workspaceId: testWorkspaceId,
    type: 'invoice.paid',
    payload: {},
    createdAt: new Date(time),
    sequence: 7,
  };
  const message = create(EventSchema, toEventMessage(event));
  const options = { useProtoFieldName: true, alwaysEmitImplicit: true };
  const ofProto = toJson(EventSchema, message, options) as Record<string, unknown>;
  expect(toEventJson(event).created_at).toBe(time);
  expect(fromEventProtoJson(ofProto)).toEqual(toEventJson(event));
});
