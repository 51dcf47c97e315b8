import { type Database, openDatabase } from '../../src/database/database.ts';
import { createEventLogStore, type EventLogStore } from '../../src/events/index.ts';
import { fillLog } from './filled-log.ts';
import { range } from './subscriber.ts';
import { createTestDatabase, type TestDatabase } from './test-database.ts';

/** The store of logs on a database of its own, without a service. */
export interface TestLogStore {
  readonly testDatabase: TestDatabase;
  readonly database: Database;
  readonly store: EventLogStore;
  /** Makes a workspace with so many events of the type `fed` about `ord_1`, and returns its id. */
  newWorkspace(events?: number): Promise<string>;
  /** Appends events without a word to anybody. */
  fill(workspaceId: string, count: number, payload?: unknown): Promise<void>;
  stop(): Promise<void>;
}

export async function openTestLogStore(): Promise<TestLogStore> {
  const testDatabase = await createTestDatabase();
  const database = await openDatabase({
    url: testDatabase.url,
    poolSize: 8,
    applicationName: 'test',
    onNotice: () => undefined,
  });
  let workspaces = 0;
  const fill = (workspaceId: string, count: number, payload: unknown = {}) =>
    fillLog(
      testDatabase,
      workspaceId,
      range(1, count).map(() => ({ type: 'fed', subject: 'ord_1', payload })),
    );
  return {
    testDatabase,
    database,
    store: createEventLogStore(database.statements),
    async newWorkspace(events = 0) {
      const id = `ws_log${++workspaces}`;
      await testDatabase.query(
        `insert into workspaces (id, display_name, created_at) values ($1, '', now())`,
        [id],
      );
      await fill(id, events);
      return id;
    },
    fill,
    async stop() {
      await database.close();
      await testDatabase.drop();
    },
  };
}
