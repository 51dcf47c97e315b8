import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StatementRunner } from '../../src/database/statements.ts';
import {
  createKnownWorkspaces,
  createWorkspaceStore,
  type KnownWorkspaces,
  WorkspaceNotFound,
} from '../../src/workspaces/index.ts';
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
    clock: database.clock,
    async run<Row>(...values: Parameters<StatementRunner['run']>) {
      const rows = await database.statements.run<Row>(...values);
      read.resolve();
      await answered.promise;
      return rows;
    },
  };
  const workspaces = createWorkspaceStore({ ...database, statements });
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

test('a workspace that was deleted keeps its id until all of it is gone, and deleting it again changes nothing', async () => {
  const store = createWorkspaceStore(opened.database);
  await store.create('ws_kept', '');
  await store.delete('ws_kept');
  const deletedAt = () =>
    opened.testDatabase.query("select deleted_at, revision from workspaces where id = 'ws_kept'");
  const before = await deletedAt();
  await store.delete('ws_kept');
  expect(await deletedAt()).toEqual(before);
  await expect(store.create('ws_kept', '')).rejects.toMatchObject({
    name: 'WorkspaceAlreadyExists',
    message: 'workspace ws_kept was deleted, and its data is not gone yet',
  });
  await opened.testDatabase.query("delete from workspaces where id = 'ws_kept'");
  await expect(store.delete('ws_kept')).rejects.toThrow(WorkspaceNotFound);
  expect((await store.create('ws_kept', '')).lastSequence).toBe(0);
});

describe('a workspace that was seen', () => {
  let elapsedMs: number;
  /** The ids of each look-up. */
  let lookUps: (readonly string[])[];
  /** Answers of look-ups wait for it. */
  let letGo: Promise<void>;
  let known: KnownWorkspaces;
  let id: string;
  let count = 0;

  beforeEach(async () => {
    id = `ws_seen${count++}`;
    elapsedMs = 0;
    lookUps = [];
    letGo = Promise.resolve();
    const store = createWorkspaceStore(opened.database);
    await store.create(id, '');
    known = createKnownWorkspaces(
      async (ids) => {
        lookUps.push(ids);
        const found = await Promise.all(ids.map((one) => store.find(one)));
        await letGo;
        return new Map(
          found.flatMap((workspace) => (workspace ? [[workspace.id, workspace]] : [])),
        );
      },
      () => elapsedMs,
    );
    await known.assertExists(id);
  });

  test('is not looked up again within a second and a half', async () => {
    elapsedMs = 1_499;
    await Promise.all(Array.from({ length: 100 }, () => known.assertExists(id)));
    expect(lookUps).toEqual([[id]]);
  });

  test('has the limits that it was seen with, and new ones within 3 seconds', async () => {
    const store = createWorkspaceStore(opened.database);
    await store.update(id, { rateLimits: { streams: 5 } });
    elapsedMs = 2_999;
    expect(await known.findRateLimits(id)).toBeUndefined();
    elapsedMs = 3_000;
    expect(await known.findRateLimits(id)).toEqual({ streams: 5 });
  });

  test('is looked up once more after that, and nobody waits for the answer', async () => {
    const held = Promise.withResolvers<void>();
    letGo = held.promise;
    elapsedMs = 1_500;
    await Promise.all(Array.from({ length: 100 }, () => known.assertExists(id)));
    await expect.poll(() => lookUps).toEqual([[id], [id]]);
    await known.assertExists(id);
    expect(lookUps).toHaveLength(2);
    held.resolve();
  });

  test('and deleted is believed in for 3 seconds at the most, whatever became of the look-up', async () => {
    await createWorkspaceStore(opened.database).delete(id);
    elapsedMs = 2_999;
    await known.assertExists(id);
    await expect.poll(() => lookUps).toHaveLength(2);
    elapsedMs = 3_000;
    await expect(known.assertExists(id)).rejects.toThrow(WorkspaceNotFound);
  });

  test('is still believed in where the look-up fails, until 3 seconds are over', async () => {
    letGo = Promise.reject(new Error('lost'));
    letGo.catch(() => undefined);
    elapsedMs = 2_000;
    await known.assertExists(id);
    await expect.poll(() => lookUps).toHaveLength(2);
    elapsedMs = 2_999;
    await known.assertExists(id);
    elapsedMs = 3_000;
    await expect(known.assertExists(id)).rejects.toThrow('lost');
  });
});
