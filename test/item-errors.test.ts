import { durationMs } from '@bufbuild/protobuf/wkt';
import type { ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../gen/typescript/google/rpc/error_details_pb.ts';
import { createEventsClient, wires } from './support/clients.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

test('an item that may be sent again says when, by every wire; one that may not says nothing', async () => {
  await service.app.workspaces.create('ws_held', '');
  const holder = await service.database.connect();
  await holder.query('begin');
  await holder.query(`select from workspaces where id = 'ws_held' for update`);
  const held = { workspaceId: 'ws_held', type: 'tested', payload: {} };
  const broken = { ...held, type: '' };
  const answers = await Promise.all(
    wires.map((wire) =>
      createEventsClient(service, wire).batchCreateEvents({ requests: [held, broken] }),
    ),
  );
  await holder.end();
  for (const { results } of answers) {
    const errors = results.map(({ result }) =>
      result.case === 'error' ? result.value : undefined,
    );
    expect(errors.map((error) => error?.reason)).toEqual([
      'DATABASE_UNAVAILABLE',
      'INVALID_REQUEST',
    ]);
    const [passing, lasting] = errors.map((error) => error?.retryDelay);
    expect(passing && durationMs(passing)).toBe(1_000);
    expect(lasting).toBeUndefined();
  }
}, 40_000);

test.each(wires)(
  'an item of a batch is told over %s what its create would be told',
  async (wire) => {
    const workspaceId = 'ws_told';
    if ((await service.app.workspaces.find(workspaceId)) === undefined) {
      await service.app.workspaces.create(workspaceId, '');
    }
    const secretKey = await service.issueKey({
      scopes: ['events:write'],
      workspaceIds: [workspaceId, 'ws_none'],
      typePatterns: ['told.*'],
    });
    const client = createEventsClient({ ...service, secretKey }, wire);
    const plain = { workspaceId, type: 'told.once', payload: {} };
    const idempotencyKey = `of ${wire}`;
    await client.createEvent({ ...plain, idempotencyKey });
    const requests = [
      { ...plain, workspaceId: 'WS', type: 'a\n', idempotencyKey: 'é' },
      { workspaceId, type: 'told.nothing' },
      { ...plain, payload: { a: [{ b: '\0' }] } },
      { ...plain, payload: { text: 'x'.repeat(262_144) } },
      { ...plain, workspaceId: 'ws_none' },
      { ...plain, workspaceId: 'ws_other' },
      { ...plain, type: 'untold' },
      { ...plain, payload: { other: true }, idempotencyKey },
    ];
    const { results } = await client.batchCreateEvents({ requests });
    const errors = results.map(({ result }) =>
      result.case === 'error' ? result.value : undefined,
    );
    expect(errors.map((error) => error?.reason)).toEqual([
      'INVALID_REQUEST',
      'PAYLOAD_INVALID',
      'PAYLOAD_INVALID',
      'PAYLOAD_TOO_LARGE',
      'WORKSPACE_NOT_FOUND',
      'WORKSPACE_NOT_ALLOWED',
      'EVENT_TYPE_NOT_ALLOWED',
      'IDEMPOTENCY_KEY_REUSED',
    ]);
    for (const [place, request] of requests.entries()) {
      const told = await client.createEvent(request).catch((error: ConnectError) => error);
      expect(errors[place]).toMatchObject(factsIn(told as ConnectError));
    }
  },
);

/** What an error of a call tells, in the fields of an item's. */
function factsIn(error: ConnectError) {
  const [info] = error.findDetails(ErrorInfoSchema);
  const retryDelay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    code: error.code,
    message: error.rawMessage,
    reason: info?.reason,
    metadata: info?.metadata,
    fieldViolations: error.findDetails(BadRequestSchema)[0]?.fieldViolations ?? [],
    ...(retryDelay && { retryDelay }),
  };
}
