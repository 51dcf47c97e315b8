import { afterEach, expect, test } from 'vitest';
import type { Config } from '../src/config.ts';
import { createEventsClient } from './support/clients.ts';
import { sendRequest } from './support/http-request.ts';
import { subscribeTo } from './support/subscriber.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
afterEach(() => service.stop());

const start = async (callLog: Config['callLog']) => {
  service = await startTestService({ callLog });
};
const create = (id: string, fields: object = {}) =>
  sendRequest(service, '/v1/events', {
    headers: { 'x-request-id': id },
    body: { workspace_id: service.workspaceId, type: 'logged', payload: {}, ...fields },
  });
const logged = () =>
  service.logLines.flatMap(({ msg, request_id }) => (msg === 'call' ? [request_id] : []));

/** A create that runs out of time behind a lock of somebody else. */
async function createTooLate(id: string): Promise<void> {
  const holder = await service.database.connect();
  await holder.query('begin');
  await holder.query('select from workspaces where id = $1 for update', [service.workspaceId]);
  const late = createEventsClient(service).createEvent(
    { workspaceId: service.workspaceId, type: 'logged', payload: {} },
    { headers: { 'x-request-id': id, 'grpc-timeout': '300m' } },
  );
  await expect(late).rejects.toThrow('deadline_exceeded');
  await holder.end();
}

test('with errors alone, a call is logged when the service or its database has failed it', async () => {
  await start({ which: 'errors', slowMs: 1 });
  await create('went-well');
  await create('refused', { type: '' });
  await sendRequest(service, '/nowhere', { headers: { 'x-request-id': 'nowhere' } });
  await createTooLate('too-late');
  await create('went-well-again');
  await expect.poll(logged).toEqual(['too-late']);
});

test('with slow ones too, a call is logged that takes the time, and no other', async () => {
  await start({ which: 'slow', slowMs: 250 });
  await create('quick');
  await createTooLate('too-late');
  const holder = await service.database.connect();
  await holder.query('begin');
  await holder.query('select from workspaces where id = $1 for update', [service.workspaceId]);
  const slow = create('slow');
  const before = performance.now();
  await expect.poll(() => performance.now() - before).toBeGreaterThan(300);
  await holder.query('commit');
  await holder.end();
  expect((await slow).status).toBe(201);
  await expect.poll(logged).toEqual(['too-late', 'slow']);
});

test('a stream is not slow because it lasts, and no error when the service stops', async () => {
  await start({ which: 'slow', slowMs: 1 });
  const client = createEventsClient(service);
  const left = subscribeTo(client, { workspaceId: service.workspaceId });
  await left.caughtUp();
  await left.leave();
  const ended = subscribeTo(client, { workspaceId: service.workspaceId });
  await ended.caughtUp();
  await service.app.stop();
  await expect.poll(() => service.app.load().calls).toBe(0);
  expect(logged()).toEqual([]);
});
