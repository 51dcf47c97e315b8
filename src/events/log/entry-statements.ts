import type { Statement } from '../../database/statements.ts';
import type { Direction } from './log-range.ts';

/**
 * Finds events of `$1` with `$2` < sequence ≤ `$3` by the types in `$5`: `id` and `sequence` of the first `$4` in
 * their order. Each type's first entries of the index on (workspace, type, sequence) are merged: no more than
 * `$4` entries a type are looked at, however rare the types are in the log, and no row.
 */
export function typeEntriesStatement(direction: Direction): Statement {
  return {
    name: `harbor_type_entries_${direction}`,
    text: `
      select found.id, found.sequence::float8 as sequence
      from unnest($5::text[]) as wanted (type) cross join lateral (
        select id, sequence from events
        where workspace_id = $1 and type = wanted.type
          and sequence > $2::bigint and sequence <= $3::bigint
        order by sequence ${direction} limit $4::int
      ) as found
      order by found.sequence ${direction} limit $4::int`,
  };
}

/** What is sifted: all of the log, or what is about a subject, by its index. */
export type SiftedBy = 'sequence' | 'subject';

/**
 * Finds events of `$1` with `$2` < sequence ≤ `$3` whose type is in `$5` or begins with one of `$6`, and which, by
 * subject, are about `$8`: `id` and `sequence` of the first `$4`. Looks at `$7` events at the most; where these are
 * not enough, a row without an id has the sequence of the last one.
 */
export function siftStatement(by: SiftedBy, direction: Direction): Statement {
  const subject = by === 'subject' ? 'and subject = $8::text' : '';
  const inRange = `
    workspace_id = $1 and sequence > $2::bigint and sequence <= $3::bigint ${subject}
    order by sequence ${direction}`;
  return {
    name: `harbor_sift_${by}_${direction}`,
    text: `
      with matching as materialized (
        select id, sequence from (
          select id, sequence, type from events where ${inRange} limit $7::int
        ) as looked_at
        where type = any($5::text[]) or type ^@ any($6::text[])
        order by sequence ${direction} limit $4::int
      )
      select id, sequence::float8 as sequence from matching
      union all
      select null, sequence::float8 from (
        select sequence from events where ${inRange} offset $7::int - 1 limit 1
      ) as last_looked_at
      where (select count(*) from matching) < $4::int`,
  };
}

/** Up to `$3` types of `$1` that begin with `$2`, one index look-up each, however many events there are. */
export const findTypesStatement: Statement = {
  name: 'harbor_find_types',
  text: `
    with recursive found (type) as (
      (select type from events where workspace_id = $1 and type >= $2 order by type limit 1)
      union all
      select (select type from events
        where workspace_id = $1 and type > found.type order by type limit 1)
      from found where found.type ^@ $2
    )
    select type from found where type ^@ $2 limit $3::int`,
};
