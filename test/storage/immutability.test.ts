import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newUuidSql } from '../support/filled-log.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

let testDatabase: TestDatabase;
let partition: string;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  await testDatabase.query(
    `insert into workspaces (id, display_name, created_at) values ('ws_1', '', now())`,
  );
  await create();
  const rows = await testDatabase.query<{ name: string }>(
    'select distinct tableoid::regclass::text as name from events',
  );
  partition = rows[0]?.name as string;
});
afterAll(async () => {
  await testDatabase.drop();
});

/** An event with all that an erasure takes away; its UUID. */
async function create(): Promise<string> {
  const [row] = await testDatabase.query<{ id: string }>(`
    with grown as (
      update workspaces set last_sequence = last_sequence + 1 where id = 'ws_1' returning *
    )
    insert into events (id, workspace_id, sequence, type, payload, payload_bytes, created_at, subject,
      occurred_at, metadata, api_key_id, trace_context)
    select ${newUuidSql}, id, last_sequence, 'tested', '{"name":"Ada"}', 32, now(), 'usr_1', now(),
      '{"a":"b"}', ${newUuidSql}, '00-1-2-01'
    from grown returning id`);
  return row?.id as string;
}

const refused = { code: '23001', message: expect.stringContaining('events are immutable') };

describe.each(['events', 'the partition'])('of a statement that names %s', (named) => {
  const table = () => (named === 'events' ? named : partition);

  test.each(['update % set type = $$x$$', 'delete from %', 'truncate %'])(
    '%s is refused',
    async (statement) => {
      await expect(testDatabase.query(statement.replace('%', table()))).rejects.toMatchObject(
        refused,
      );
    },
  );

  test('retention may delete, when it says so in its transaction', async () => {
    const uuid = await create();
    await testDatabase.query(
      `begin; set local harbor.retention = 'on'; delete from ${table()} where id = '${uuid}'; commit`,
    );
    expect(await testDatabase.query('select from events where id = $1', [uuid])).toEqual([]);
    await expect(testDatabase.query(`delete from ${table()}`)).rejects.toMatchObject(refused);
  });

  const erasure = `payload = '{}', payload_bytes = 2, subject = null, metadata = null, erased_at = now()`;

  test.each([erasure, `${erasure}, trace_context = null`])('%s passes, once', async (once) => {
    const uuid = await create();
    const change = (assignments: string) =>
      testDatabase.query(`update ${table()} set ${assignments} where id = $1`, [uuid]);
    await change(once);
    for (const again of [erasure, 'erased_at = null', `payload = '{"name":"Ada"}'`]) {
      await expect(change(again)).rejects.toMatchObject(refused);
    }
  });

  test.each([
    ['keeps the payload', { payload: 'payload' }],
    ['writes another payload', { payload: `'{"name":"Eve"}'` }],
    ['leaves the bytes', { payload_bytes: 'payload_bytes' }],
    ['keeps the subject', { subject: 'subject' }],
    ['keeps the metadata', { metadata: 'metadata' }],
    ['writes a subject', { subject: `'x'` }],
    ['writes metadata', { metadata: `'{}'` }],
    ['writes a trace context', { trace_context: `'00'` }],
    ['does not say when', { erased_at: 'null' }],
    ['changes the type', { type: `'x'` }],
    ['changes the sequence', { sequence: '99' }],
    ['changes the workspace', { workspace_id: `'ws_2'` }],
    ['changes the time', { created_at: `now() - interval '1 day'` }],
    ['changes when it happened', { occurred_at: 'now()' }],
    ['changes the key', { api_key_id: 'id' }],
    [
      'changes the id',
      {
        id: `(left(id::text, 35) || case right(id::text, 1) when '0' then '1' else '0' end)::uuid`,
      },
    ],
  ])('an erasure that %s is refused', async (_, change) => {
    const uuid = await create();
    const written = Object.entries(change as Record<string, string>);
    const kept = erasure
      .split(/,\s+/)
      .filter((part) => !written.some(([column]) => part.startsWith(`${column} =`)));
    const assignments = [...kept, ...written.map(([column, value]) => `${column} = ${value}`)];
    await expect(
      testDatabase.query(`update ${table()} set ${assignments.join(', ')} where id = $1`, [uuid]),
    ).rejects.toMatchObject(refused);
  });
});
