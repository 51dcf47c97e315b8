import type { PoolClient } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toLiteral } from '../../bench/plans/explain.ts';
import { createRecorder, type Step } from '../../bench/plans/record.ts';
import { appendStatement } from '../../src/events/append/append-statements.ts';
import { eraseStatement } from '../../src/events/erase/erase-statements.ts';
import {
  createEventLogStore,
  createEventStore,
  type EventLogStore,
} from '../../src/events/index.ts';
import { anyType } from '../../src/events/log/event-filter.ts';
import { everyId } from '../../src/events/log/id-range.ts';
import type { LogRange } from '../../src/events/log/log-range.ts';
import { newId, newUuid } from '../../src/type-id.ts';
import { openTestLogStore, type TestLogStore } from '../support/log-store.ts';

let logs: TestLogStore;
let workspaceId: string;
/** A connection of the service's own pool, with its settings. */
let client: PoolClient;

beforeAll(async () => {
  logs = await openTestLogStore();
  workspaceId = await logs.newWorkspace();
  client = await logs.database.connect();
});
afterAll(async () => {
  client.release();
  await logs.stop();
});

/** Of now, as events that are there may have. */
const uuids = [newUuid(), newUuid()];
const sifting = { match: anyType, siftedMax: 5_000 } as const;
const entries = uuids.map((uuid, index) => ({ uuid, sequence: index + 1 }));

type Asking = (log: EventLogStore, range: LogRange) => Promise<unknown>;

/** What is asked, in both directions where it has one, and the index that is to answer it. */
const questions: [name: string, index: RegExp, ask: Asking][] = [
  ['a range', /workspace_id_sequence_key$/, (log, range) => log.read(range)],
  [
    'what comes next',
    /workspace_id_sequence_key$/,
    (log) => log.readNext({ workspaceId, afterSequence: 5, limit: 500, ids: everyId }),
  ],
  [
    'types',
    /type_(index|sequence_id_idx)$/,
    (log, range) => log.find(range, { by: 'type', types: ['a', 'b'], ids: everyId, eachMax: 25 }),
  ],
  [
    'which types there are',
    /type_(index|sequence_id_idx)$/,
    (log) => log.findTypes({ workspaceId, prefixes: ['a', 'b'], ids: everyId, limit: 33 }),
  ],
  [
    'a subject',
    /subject_(index|sequence_id_type_idx)$/,
    (log, range) => log.find(range, { by: 'subject', subject: 'a', ...sifting }),
  ],
  [
    'all of the log, sifted',
    /workspace_id_sequence_key$/,
    (log, range) => log.find(range, { by: 'sequence', ...sifting }),
  ],
  ['entries', /_pkey$/, (log) => log.fetch(workspaceId, entries)],
  ['one event', /workspace_id_sequence_key$/, (log) => log.findUuid(workspaceId, 7)],
  [
    'what is beyond a window',
    /workspace_id_sequence_key$/,
    (log, range) => log.findBeyond(range, { from: uuids[0] ?? '', before: uuids[1] ?? '' }),
  ],
  ['a time', /workspace_id_sequence_key$/, (log) => log.findPlaceOfTime(workspaceId, new Date())],
];

interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  readonly Plans?: readonly Node[];
}

function nodesOf(node: Node): Node[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

/** The nodes of the plan that a session of the service keeps for a statement. */
async function planOf({ statement, values }: Step): Promise<Node[]> {
  await client.query('deallocate all');
  await client.query(`prepare asked as ${statement.text}`);
  const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Node }] }>(
    `explain (format json) execute asked(${values.map(toLiteral)})`.replace('()', ''),
  );
  return nodesOf((rows[0] as { 'QUERY PLAN': [{ Plan: Node }] })['QUERY PLAN'][0].Plan);
}

const readsEvents = (node: Node) => /^events/.test(node['Relation Name'] ?? '');

const states: [name: string, prepare: () => Promise<unknown>][] = [
  ['partitions that were never looked at', async () => undefined],
  ['empty partitions', () => logs.testDatabase.query('vacuum analyze events')],
  ['partitions that were filled since', () => logs.fill(workspaceId, 20_000)],
  ['partitions that are known', () => logs.testDatabase.query('vacuum analyze events')],
];

describe.each(states)('of %s', (_, prepare) => {
  beforeAll(async () => void (await prepare()));

  test.each(questions)('%s is found by one index alone', async (_, index, ask) => {
    const recorder = createRecorder(client);
    const log = createEventLogStore(recorder);
    const range = { workspaceId, low: 10, high: 5_000, limit: 100 };
    await ask(log, { ...range, direction: 'asc' });
    await ask(log, { ...range, direction: 'desc' });
    const asked = recorder.steps.filter(({ statement }) => /\bfrom events\b/.test(statement.text));
    expect(asked.length).toBeGreaterThan(0);
    for (const step of asked) {
      const reading = (await planOf(step)).filter(readsEvents);
      expect(reading.length).toBeGreaterThan(0);
      for (const node of reading) {
        expect(node).toMatchObject({ 'Index Name': expect.stringMatching(index) });
      }
    }
  });

  test('an event that is erased is found by its id', async () => {
    const step = { statement: eraseStatement, values: [newUuid(), workspaceId] };
    const indexes = (await planOf(step)).flatMap((node) => node['Index Name'] ?? []);
    const ofEvents = indexes.filter((index) => index.startsWith('events'));
    expect(ofEvents).toEqual([expect.stringMatching(/_pkey$/)]);
  });

  test('the append looks up the workspaces that it locks, and no others', async () => {
    const values = (appendStatement.text.match(/\$\d+/g) ?? []).map(() => null);
    const nodes = await planOf({ statement: appendStatement, values });
    const found = nodes.filter((node) => node['Index Name'] === 'workspaces_pkey');
    expect(found.length).toBeGreaterThan(0);
    for (const node of found) expect(node).toHaveProperty('Index Cond');
  });

  test('ids are looked up in their partition alone', async () => {
    const recorder = createRecorder(client);
    const store = createEventStore(recorder);
    const id = newId('evt');
    await store.read([id], 1_000);
    await store.readTypes([id]);
    for (const step of recorder.steps) {
      const reading = (await planOf(step)).filter(readsEvents);
      expect(reading.map((node) => node['Node Type'])).toEqual([
        expect.stringMatching(/^Index (Only )?Scan$/),
      ]);
    }
  });
});
