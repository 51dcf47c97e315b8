import { expect, test } from 'vitest';
import { makePartition } from '../support/partitions.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { startTestService } from '../support/test-service.ts';

test('a start that PostgreSQL’s table of locks has no room for is refused, with what to set', async () => {
  const database = await createTestDatabase();
  const [room] = await database.query<{ locks: number; connections: number }>(`
    select current_setting('max_locks_per_transaction')::int as locks,
      current_setting('max_connections')::int as connections`);
  const { locks, connections } = room ?? { locks: 0, connections: 0 };
  for (let month = 0; month < 60; month++) {
    await makePartition(database, new Date(Date.UTC(2000, month)), 'month');
  }
  const databasePoolSize = Math.ceil((locks * connections) / (64 * 5 + 20)) + 1;
  await expect(startTestService({ databasePoolSize }, database)).rejects.toMatchObject({
    name: 'LockTableTooSmall',
    message: expect.stringMatching(
      /^events are in 64 partitions, .* set max_locks_per_transaction of PostgreSQL to \d+ or more/,
    ),
  });
  const service = await startTestService({}, database);
  await service.stop();
  await database.drop();
});
