import type { SchemaSession } from '../schema-session.ts';
import { boundAt, type PartitionPeriod, type PlannedPartition, timeOfUuid } from './period.ts';

type Query = SchemaSession['query'];
type Run = (text: string) => Promise<unknown>;

/** A partition of `events` as it is. */
export interface EventPartition {
  readonly name: string;
  /** Undefined: whatever is before `until`. */
  readonly from: Date | undefined;
  /** Events have ids of a time before it. */
  readonly until: Date;
  /** Statements that begin now do not see it: its removal was begun, and is to be ended. */
  readonly isDetaching: boolean;
}

/** What whoever keeps the partitions has to know, in one look. */
export interface PartitionState {
  readonly now: Date;
  readonly period: PartitionPeriod;
  /** By their time. */
  readonly partitions: readonly EventPartition[];
  /** Names of partitions, or tables that were some, which are to go. */
  readonly retiring: readonly string[];
}

interface StateRow {
  readonly now_ms: number;
  readonly period: PartitionPeriod;
  readonly retiring: readonly string[];
  readonly partitions: readonly {
    readonly name: string;
    readonly bounds: string | null;
    readonly is_detaching: boolean;
  }[];
}

/** The database's clock. */
export async function readClock(query: Query): Promise<Date> {
  const [row] = await query<{ now_ms: number }>(
    'select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms',
  );
  return new Date((row as { now_ms: number }).now_ms);
}

export async function readPartitionState(query: Query): Promise<PartitionState> {
  const [row] = await query<StateRow>(`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms, period,
      array(select name from retiring_event_partitions order by name) as retiring,
      coalesce((
        select json_agg(json_build_object('name', relname, 'bounds', pg_get_expr(relpartbound, oid),
          'is_detaching', inhdetachpending))
        from pg_inherits join pg_class on oid = inhrelid where inhparent = to_regclass('events')
      ), '[]') as partitions
    from event_partitioning`);
  if (row === undefined) throw new Error('event_partitioning has no row');
  return {
    now: new Date(row.now_ms),
    period: row.period,
    partitions: row.partitions
      .map(({ name, bounds, is_detaching }) => ({
        name,
        ...parseBounds(bounds),
        isDetaching: is_detaching,
      }))
      .sort((a, b) => a.until.getTime() - b.until.getTime()),
    retiring: row.retiring,
  };
}

/** As PostgreSQL writes them: `FOR VALUES FROM ('0192…') TO ('0193…')`, or from MINVALUE. */
function parseBounds(text: string | null): { from: Date | undefined; until: Date } {
  const found = /^FOR VALUES FROM \((?:MINVALUE|'([^']+)')\) TO \('([^']+)'\)$/.exec(text ?? '');
  if (found === null) throw new Error(`a partition of events has bounds of no time: ${text}`);
  const [, from, until] = found;
  return {
    from: from === undefined ? undefined : timeOfUuid(from),
    until: timeOfUuid(until as string),
  };
}

/**
 * Makes a partition, in a transaction of the caller's. Attaching a table locks nobody out, as creating it for a
 * partition at once would.
 */
export async function createPartition(query: Run, planned: PlannedPartition): Promise<void> {
  const { name, from, until } = planned;
  await query(`
    create table ${name} (like events including defaults including storage) with (${storage})`);
  await guardPartition(query, name);
  await query(`
    alter table ${name} add constraint ${name}_workspace_id_sequence_key unique (workspace_id, sequence)`);
  await query(`
    alter table events attach partition ${name}
    for values from ('${boundAt(from)}') to ('${boundAt(until)}')`);
}

/**
 * Of a partition. What an index says is taken without a look at the table only where vacuum has been since: until a fifth
 * of a partition is new, which PostgreSQL would wait for, a page of 30 types took twice as long. Vacuum looks at
 * what is new alone.
 */
export const storage = 'autovacuum_vacuum_insert_scale_factor = 0.02';

/** The guard of `events` itself hears of no statement that names the partition. */
export async function guardPartition(query: Run, name: string): Promise<void> {
  await query(`
    create trigger events_are_immutable before delete or truncate on ${name}
    for each statement execute function harbor_refuse_event_change()`);
}
