import type { Statement } from '../../database/statements.ts';
import { everyId, isAmong } from './id-range.ts';
import type { Direction } from './log-range.ts';

/**
 * Each statement asks for an order that one index alone has, since PostgreSQL knows nothing of a partition in its first
 * minute, and any index seems as good as another then. The columns that it compares as one row are those of the index: to
 * ask for equal types and an order by sequence would do as well for the index of sequences, which has all of the log.
 */
const inRange = 'workspace_id = $1 and sequence > $2::bigint and sequence <= $3::bigint';
const ofTypeInRange = `workspace_id = $1
  and (type, sequence) > (wanted.type, $2::bigint) and (type, sequence) <= (wanted.type, $3::bigint)`;
const ofSubjectInRange = `workspace_id = $1 and subject is not null
  and (subject, sequence) > ($8::text, $2::bigint) and (subject, sequence) <= ($8::text, $3::bigint)`;

/**
 * Finds events of `$1` with `$2` < sequence ≤ `$3` by the types in `$5`: `id` and `sequence` of the first `$4` that have
 * ids from `$6` on and below `$7`. Each type's first entries of the index on (workspace, type, sequence) are merged: no
 * more than `$8` entries a type are looked at, however rare the types are in the log, and no row. Where a type may have
 * more, the last of them `is_last`: past the first such one, events may be missing.
 */
export function typeEntriesStatement(direction: Direction): Statement {
  return {
    name: `harbor_type_entries_${direction}`,
    text: `
      select found.id, found.sequence::float8 as sequence, is_last
      from unnest($5::text[]) as wanted (type) cross join lateral (
        select id, sequence, row_number() over () = $8::int as is_last from (
          select id, sequence from events
          where ${ofTypeInRange} and ${isAmong('$6', '$7')}
          order by type ${direction}, sequence ${direction} limit $8::int
        ) as looked_at
      ) as found
      order by found.sequence ${direction} limit $4::int`,
  };
}

/** What is sifted: all of the log, or what is about a subject, by its index. */
export type SiftedBy = 'sequence' | 'subject';

/**
 * Finds events of `$1` with `$2` < sequence ≤ `$3` whose type is in `$5` or begins with one of `$6`, and which, by subject,
 * are about `$8`: `id` and `sequence` of the first `$4`. Looks at `$7` events at the most; where these are not enough, the
 * last of them comes too, as `is_last`, whether it `is_match` or not.
 */
export function siftStatement(by: SiftedBy, direction: Direction): Statement {
  const [where, order] =
    by === 'sequence'
      ? [inRange, `sequence ${direction}`]
      : [ofSubjectInRange, `subject ${direction}, sequence ${direction}`];
  return {
    name: `harbor_sift_${by}_${direction}`,
    text: `
      select id, judged.sequence::float8 as sequence, is_match, is_last from (
        select id, sequence, type = any($5::text[]) or type ^@ any($6::text[]) as is_match,
          row_number() over () = $7::int as is_last
        from (
          select id, sequence, type from events where ${where} order by ${order} limit $7::int
        ) as looked_at
      ) as judged
      where is_match or is_last
      limit $4::int`,
  };
}

/** The id of the event `$2` of `$1`. */
export const uuidStatement: Statement = {
  name: 'harbor_uuid',
  text: `
    select id from events
    where workspace_id = $1 and sequence > $2::bigint - 1 and sequence <= $2::bigint
    order by sequence limit 1`,
};

/** The first event of a range that has an id below `$4`, or from `$5` on. */
export function beyondStatement(direction: Direction): Statement {
  const first = (ids: string) => `(
    select id, sequence from events where ${inRange} and ${ids} order by sequence ${direction} limit 1
  )`;
  // Where nothing can be beyond, nothing is looked for: the first partition begins where no id is below.
  const below = first(`(id < $4::uuid or id = '${everyId.from}') and $4::uuid > '${everyId.from}'`);
  const above = first(`(id > $5::uuid or id = $5::uuid) and $5::uuid < '${everyId.before}'`);
  return {
    name: `harbor_beyond_${direction}`,
    text: `
      select id, ends.sequence::float8 as sequence from (${below} union all ${above}) as ends
      order by ends.sequence ${direction} limit 1`,
  };
}

/**
 * Up to `$3` types of `$1` that begin with one of `$2`, of events with ids from `$4` on and below `$5`: one look-up each in
 * the index, however many events there are.
 */
export const findTypesStatement: Statement = {
  name: 'harbor_find_types',
  text: `
    with recursive found (prefix, type) as (
      select prefix, (
        select type from events
        where workspace_id = $1 and type >= prefix and ${isAmong('$4', '$5')}
        order by type limit 1
      ) from unnest($2::text[]) as asked (prefix)
      union all
      select prefix, (
        select events.type from events
        where workspace_id = $1 and events.type > found.type and ${isAmong('$4', '$5')}
        order by events.type limit 1
      ) from found where found.type ^@ prefix
    )
    select distinct type from (select type from found where type ^@ prefix limit $3::int) as first`,
};

/** Where the partitions of events begin, but for the first one, which has no beginning. */
export const partitionStartsStatement: Statement = {
  name: 'harbor_partition_starts',
  text: `
    select start from (
      select substring(pg_get_expr(relpartbound, pg_class.oid) from 'FROM \\(''([0-9a-f-]{36})''\\)') as start
      from pg_inherits join pg_class on pg_class.oid = inhrelid
      where inhparent = to_regclass('events')
    ) as bounds
    where start is not null order by start`,
};
