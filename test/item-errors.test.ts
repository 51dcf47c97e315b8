import { durationMs } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
