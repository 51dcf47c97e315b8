import {
  createPartition,
  guardPartition,
  readClock,
  readPartitionState,
  storage,
} from '../partitions/partition-statements.ts';
import {
  boundAt,
  type PlannedPartition,
  partitionsFrom,
  periodsAhead,
  timeOfUuid,
} from '../partitions/period.ts';
import type { SchemaSession } from '../schema-session.ts';
import { type Migration, type MigrationOptions, statements } from './migration.ts';

/**
 * Events in partitions by the time in their id. The table of before becomes the first one, as it is: a check
 * on its ids tells PostgreSQL that it need not look, and is validated while everybody goes on.
 */
export const partitions: Migration = {
  name: '0003-partitions',
  worksFrom: '0001-events',
  steps: [
    statements(
      'period',
      `
      create table event_partitioning (
        is_only boolean primary key default true check (is_only),
        period text not null check (period in ('quarter', 'month')),
        initial_until uuid null
      )`,
      'create table retiring_event_partitions (name text primary key)',
    ),
    { name: 'bound', run: boundInitial },
    statements('bound validated', 'alter table events validate constraint events_initial_bound'),
    // With the id, by which rows are fetched: a fetch by sequence prunes no partition.
    {
      name: 'type index',
      index: 'events_initial_type_index',
      definition: 'on events (workspace_id, type, sequence) include (id)',
    },
    {
      name: 'subject index',
      index: 'events_initial_subject_index',
      definition: `on events (workspace_id, subject, sequence) include (id, type)
        where subject is not null`,
    },
    { name: 'switch', run: switchTables },
  ],
};

/**
 * Events of before end where a period does, far enough ahead that processes go on for months should the
 * migration stay half-done, and beyond every id that is there.
 */
async function boundInitial({ query }: SchemaSession, options: MigrationOptions): Promise<void> {
  await query('lock table events in access exclusive mode');
  const [newest] = await query<{ id: string }>('select id from events order by id desc limit 1');
  const { eventPartitions: period } = options;
  const ahead = endOf(partitionsFrom(period, await readClock(query), periodsAhead));
  const held = newest && endOf(partitionsFrom(period, timeOfUuid(newest.id), 0));
  const until = boundAt(held !== undefined && held > ahead ? held : ahead);
  await query(`
    alter table events add constraint events_initial_bound check (id < '${until}') not valid`);
  await query('insert into event_partitioning (period, initial_until) values ($1, $2)', [
    period,
    until,
  ]);
}

function endOf(planned: readonly PlannedPartition[]): Date {
  return (planned.at(-1) as PlannedPartition).until;
}

/** Short: everybody waits for it. */
async function switchTables({ query }: SchemaSession): Promise<void> {
  await query('lock table events in access exclusive mode');
  for (const text of renaming) await query(text);
  for (const text of parent) await query(text);
  const [first] = await query('select from events_initial limit 1');
  if (first === undefined) await startEmpty(query);
  else await attachInitial(query);
}

const renaming = [
  'alter table events rename to events_initial',
  'alter index events_pkey rename to events_initial_pkey',
  `alter index events_workspace_id_sequence_key
    rename to events_initial_workspace_id_sequence_key`,
  'drop index events_workspace_id_type_sequence_index',
  'drop trigger events_are_immutable on events_initial',
];

const parent = [
  `create table events (like events_initial including defaults including storage)
    partition by range (id)`,
  'alter table events add constraint events_pkey primary key (id, workspace_id)',
  'create index events_type_index on events (workspace_id, type, sequence) include (id)',
  `create index events_subject_index on events (workspace_id, subject, sequence) include (id, type)
    where subject is not null`,
  // The one change that an event knows takes its content away. A column that comes later is guarded as well.
  `create function harbor_refuse_all_but_erasure() returns trigger language plpgsql as $$
    declare
      erased record := old;
    begin
      erased.payload := '{}';
      erased.payload_bytes := 2;
      erased.subject := null;
      erased.metadata := null;
      erased.erased_at := new.erased_at;
      if new.trace_context is null then
        erased.trace_context := null;
      end if;
      if old.erased_at is null and new.erased_at is not null and new::text = erased::text then
        return new;
      end if;
      raise exception 'events are immutable: UPDATE refused' using errcode = 'restrict_violation';
    end $$`,
  `create trigger events_are_immutable before delete or truncate on events
    for each statement execute function harbor_refuse_event_change()`,
  // PostgreSQL gives each partition the same.
  `create trigger events_change_by_erasure before update on events
    for each row execute function harbor_refuse_all_but_erasure()`,
  // Whoever could read the table can read its successor.
  `do $$
    declare
      entry record;
    begin
      execute format('alter table events owner to %s',
        (select relowner::regrole from pg_class where oid = 'events_initial'::regclass));
      for entry in
        select privilege_type as privilege, case when is_grantable then 'with grant option' end as option,
          case when grantee = 0 then 'public' else grantee::regrole::text end as grantee
        from pg_class cross join aclexplode(relacl)
        where pg_class.oid = 'events_initial'::regclass and grantee <> relowner
      loop
        execute format('grant %s on events to %s %s', entry.privilege, entry.grantee, entry.option);
      end loop;
    end $$`,
];

async function startEmpty(query: SchemaSession['query']): Promise<void> {
  await query('drop table events_initial');
  await query('update event_partitioning set initial_until = null');
  const { period, now } = await readPartitionState(query);
  for (const planned of partitionsFrom(period, now, periodsAhead)) {
    await createPartition(query, planned);
  }
}

async function attachInitial(query: SchemaSession['query']): Promise<void> {
  await guardPartition(query, 'events_initial');
  await query(`alter table events_initial set (${storage})`);
  const [row] = await query<{ until: string }>(
    'select initial_until as until from event_partitioning',
  );
  await query(`
    alter table events attach partition events_initial
    for values from (minvalue) to ('${row?.until}')`);
  // What it said is now the bound of the partition.
  await query('alter table events_initial drop constraint events_initial_bound');
}
