import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CommitNews, createCommitNews } from '../../src/events/commit-news.ts';
import { prepareEvent } from '../../src/events/event.ts';
import { createAppendQueue, createEventStore } from '../../src/events/index.ts';
import { openTestLogStore, type TestLogStore } from '../support/log-store.ts';

let opened: TestLogStore;

beforeAll(async () => {
  opened = await openTestLogStore();
});
afterAll(() => opened.stop());

function createQueue(commits: CommitNews) {
  return createAppendQueue(createEventStore(opened.database.statements), {
    onCommitted: (id, lastSequence) => commits.tell(id, lastSequence, 'here'),
  });
}

function event(workspaceId: string) {
  return prepareEvent({ workspaceId, type: 'told', payload: {}, idempotencyKey: undefined });
}

test('every listener hears of a commit once its events are on disk', async () => {
  const workspaceId = await opened.newWorkspace();
  const commits = createCommitNews(() => undefined);
  const heard: unknown[] = [];
  commits.listen((...news) => void heard.push(['first', ...news]));
  commits.listen((...news) => void heard.push(['second', ...news]));
  const queue = createQueue(commits);
  await Promise.all([1, 2, 3].map(() => queue.append(event(workspaceId))));
  expect(heard).toEqual([
    ['first', workspaceId, 3, 'here'],
    ['second', workspaceId, 3, 'here'],
  ]);
});

test('a listener that throws harms neither the create nor the other listeners, and is told of', async () => {
  const workspaceId = await opened.newWorkspace();
  const broken = new Error('broken');
  const told: unknown[] = [];
  const commits = createCommitNews((error) => void told.push(error));
  const heard: number[] = [];
  commits.listen(() => {
    throw broken;
  });
  commits.listen((_, lastSequence) => void heard.push(lastSequence));
  const { event: created } = await createQueue(commits).append(event(workspaceId));
  expect(created.sequence).toBe(1);
  expect(heard).toEqual([1]);
  expect(told).toEqual([broken]);
  // Taken for a failed append, it would have been written again.
  const rows = await opened.testDatabase.query('select from events where workspace_id = $1', [
    workspaceId,
  ]);
  expect(rows).toHaveLength(1);
});
