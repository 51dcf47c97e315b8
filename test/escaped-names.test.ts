import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import type { JsonObject } from '@bufbuild/protobuf';
import { Harbor } from '@harbor/sdk';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createEventsClient, jsonWires, wires } from './support/clients.ts';
import { connectPost, createEventPath, refusalIn } from './support/connect-post.ts';
import { problemOf, sendRequest } from './support/http-request.ts';
import { startTestService, type TestService } from './support/test-service.ts';

/*
 * V8 takes a name that is written with an escape for one that it read before in the same place of an object,
 * whoever sent that. Node parses here in one process for service and clients: both must read it right.
 */
const poison = '{"h":[],"\\\\":0}';
const payload = '{"h":1,"\\"":2}';
const names = ['h', '"'];

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
  await service.app.workspaces.create('ws_other', '');
});
afterAll(() => service.stop());

beforeEach(async () => {
  const secretKey = await service.issueKey({
    scopes: ['events:write'],
    workspaceIds: ['ws_other'],
  });
  const answer = await sendRequest({ ...service, secretKey }, '/v1/events', {
    headers: { 'content-type': 'application/json' },
    body: `{"workspace_id":"ws_other","type":"poison","payload":${poison}}`,
  });
  expect(answer.status).toBe(201);
});

const everyWire = [...wires, ...jsonWires];

/** The payload of the newest event, parsed by nobody. */
async function storedText(): Promise<string | undefined> {
  const rows = await service.database.query<{ text: string }>(
    `select payload::text as text from events where workspace_id = '${service.workspaceId}'
     order by sequence desc limit 1`,
  );
  return rows[0]?.text;
}

/** A create whose JSON is as it stands here. */
async function createByRest(text = payload): Promise<{ id: string; text: string }> {
  const answer = await sendRequest(service, '/v1/events', {
    headers: { 'content-type': 'application/json' },
    body: `{"workspace_id":"${service.workspaceId}","type":"named","payload":${text}}`,
  });
  return { id: JSON.parse(answer.text).id, text: answer.text };
}

describe.each(everyWire)('over %s', (wire) => {
  test('a name with an escape is answered and stored as it was sent', async () => {
    const request = { workspaceId: service.workspaceId, type: 'named', payload: { h: 1, '"': 2 } };
    const { event } = await createEventsClient(service, wire).createEvent(request);
    expect(Object.keys(event?.payload ?? {})).toEqual(names);
    expect(await storedText()).toBe(payload);
  });

  test('it is retrieved, listed and streamed as it was sent', async () => {
    const { id } = await createByRest();
    const events = createEventsClient(service, wire);
    const { workspaceId } = service;
    const { event } = await events.retrieveEvent({ id });
    const afterSequence = (event?.sequence ?? 0n) - 1n;
    const page = await events.listEvents({ workspaceId, afterSequence });
    const stop = new AbortController();
    const messages = events.subscribeEvents(
      { workspaceId, afterSequence },
      { signal: stop.signal },
    );
    const first = (await messages[Symbol.asyncIterator]().next()).value?.message;
    stop.abort();
    const found = [event, page.events[0], first?.case === 'event' ? first.value : undefined];
    expect(found.map((one) => Object.keys(one?.payload ?? {}))).toEqual([names, names, names]);
  });
});

test('over REST it is answered, stored, retrieved, listed and streamed as it was sent', async () => {
  const { id, text } = await createByRest();
  expect(text).toContain(payload);
  expect(await storedText()).toBe(payload);
  const retrieved = await sendRequest(service, `/v1/events/${id}`);
  expect(retrieved.text).toContain(payload);
  const after = JSON.parse(retrieved.text).sequence - 1;
  const query = `workspace_id=${service.workspaceId}&after_sequence=${after}`;
  expect((await sendRequest(service, `/v1/events?${query}`)).text).toContain(payload);
  const streamed = await fetch(`${service.baseUrl}/v1/events/stream?${query}`, {
    headers: { authorization: `Bearer ${service.secretKey}` },
  });
  const reader = (streamed.body as ReadableStream<Uint8Array>).getReader();
  const { value } = await reader.read();
  await reader.cancel();
  expect(new TextDecoder().decode(value)).toContain(payload);
});

test.each(['connect json', 'connect binary'] as const)(
  'the items of a batch over %s keep their names beside each other',
  async (wire) => {
    const request = (payload: JsonObject) => ({
      workspaceId: service.workspaceId,
      type: 'named',
      payload,
    });
    const { results } = await createEventsClient(service, wire).batchCreateEvents({
      requests: [request({ h: [], '\\': 0 }), request({ h: 1, '"': 2 })],
    });
    const [, { result } = { result: undefined }] = results;
    const { event } = result?.case === 'created' ? result.value : {};
    expect(Object.keys(event?.payload ?? {})).toEqual(names);
  },
);

test('a create is repeated by its key, although another was read in between', async () => {
  const body = {
    workspace_id: service.workspaceId,
    type: 'named',
    payload: { k: 1, '"': 2 },
    idempotency_key: 'with a name',
  };
  const create = () => sendRequest(service, '/v1/events', { body });
  expect((await create()).status).toBe(201);
  await createByRest('{"k":[],"\\\\":0}');
  const again = await create();
  expect(again.status).toBe(201);
  expect(again.headers['idempotent-replayed']).toBe('true');
});

test('the SDK reads and writes it as it is', async () => {
  const { secretKey, baseUrl, workspaceId } = service;
  const { events } = new Harbor({ secretKey, baseUrl });
  const created = await events.create({ workspaceId, type: 'named', payload: { h: 1, '"': 2 } });
  expect(Object.keys(created.payload)).toEqual(names);
  expect(Object.keys((await events.retrieve(created.id)).payload)).toEqual(names);
});

test('the command line reads and prints it as it is', async () => {
  const cli = resolve(import.meta.dirname, '../src/cli.ts');
  const both = `{"first":${poison},"then":${payload}}`;
  const args = [cli, 'events', 'create', 'named', both];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: {
      PATH: process.env.PATH,
      HARBOR_BASE_URL: service.baseUrl,
      HARBOR_SECRET_KEY: service.secretKey,
      HARBOR_WORKSPACE_ID: service.workspaceId,
    },
  });
  expect(stdout).toContain(`"payload":${both}`);
});

test('U+0000 in a name is refused, written as an escape too', async () => {
  const body = `{"workspaceId":"${service.workspaceId}","type":"named","payload":{"h":1,"\\u0000":2}}`;
  expect(await refusalIn(await connectPost(service, createEventPath, body))).toMatchObject({
    reason: 'PAYLOAD_INVALID',
    fields: ['payload'],
  });
  const answer = await sendRequest(service, '/v1/events', {
    headers: { 'content-type': 'application/json' },
    body: body.replace('workspaceId', 'workspace_id'),
  });
  expect(problemOf(answer)).toMatchObject({ status: 400, reason: 'PAYLOAD_INVALID' });
});
