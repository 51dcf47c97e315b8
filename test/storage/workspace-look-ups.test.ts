import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StatementRunner } from '../../src/database/statements.ts';
import { createWorkspaceStore, WorkspaceNotFound } from '../../src/workspaces/index.ts';
import { openTestLogStore, type TestLogStore } from '../support/log-store.ts';

let opened: TestLogStore;

beforeAll(async () => {
  opened = await openTestLogStore();
});
afterAll(() => opened.stop());

test('a workspace that was made is there, also for who asks while an older look-up of it is on its way', async () => {
  const { database } = opened;
  const read = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  const statements: StatementRunner = {
    async run<Row>(...values: Parameters<StatementRunner['run']>) {
      const rows = await database.statements.run<Row>(...values);
      read.resolve();
      await answered.promise;
      return rows;
    },
  };
  const workspaces = createWorkspaceStore({ orm: database.orm, statements });
  const early = workspaces.assertExists('ws_new');
  await read.promise;
  // By another process.
  await createWorkspaceStore(database).create('ws_new', '');
  const afterwards = workspaces.assertExists('ws_new');
  answered.resolve();
  await expect(afterwards).resolves.toBeUndefined();
  await Promise.allSettled([early]);
  await expect(workspaces.assertExists('ws_gone')).rejects.toThrow(WorkspaceNotFound);
});
