import type { Migration } from './migrations/migration.ts';
import type { SchemaSession } from './schema-session.ts';

/** A newer program has migrated the database to a schema with which this one does not work. */
export class SchemaTooNew extends Error {
  override readonly name = 'SchemaTooNew';

  constructor(unknown: readonly string[]) {
    super(
      'a newer version of Harbor Events has migrated this database, and this version does not know ' +
        `${unknown.join(', ')}: run that version, or a later one`,
    );
  }
}

/** A step in `harbor_schema`. */
export interface RecordedStep {
  readonly migration: string;
  readonly step: string;
  /** The oldest migration that a program must know to work with the schema since. */
  readonly worksFrom: string;
  /** Or it had begun when whoever did it ended. */
  readonly isDone: boolean;
}

type Query = SchemaSession['query'];

/** For the operator as well, who can see how far a long migration is. */
export async function createSchemaRecord(query: Query): Promise<void> {
  await query(`
    create table if not exists harbor_schema (
      migration text not null,
      step text not null,
      works_from text not null,
      begun_at timestamptz not null default clock_timestamp(),
      done_at timestamptz null,
      primary key (migration, step)
    )`);
}

/** In the order in which the steps began; none where nothing was ever migrated. */
export async function readSchemaRecord(query: Query): Promise<RecordedStep[]> {
  const [found] = await query<{ is_there: boolean }>(
    `select to_regclass('harbor_schema') is not null as is_there`,
  );
  if (found?.is_there !== true) return [];
  return await query<RecordedStep>(`
    select migration, step, works_from as "worksFrom", done_at is not null as "isDone"
    from harbor_schema order by begun_at`);
}

export async function recordStep(
  query: Query,
  { name, worksFrom }: Migration,
  { step, isDone }: { readonly step: string; readonly isDone: boolean },
): Promise<void> {
  await query(
    `insert into harbor_schema as held (migration, step, works_from, done_at)
     values ($1, $2, $3, case when $4 then clock_timestamp() end)
     on conflict (migration, step) do update set done_at = excluded.done_at`,
    [name, step, worksFrom, isDone],
  );
}

/** @throws SchemaTooNew when a migration that this program does not know works with later programs alone. */
export function assertSchemaWorks(
  recorded: readonly RecordedStep[],
  migrations: readonly Migration[],
): void {
  const known = new Set(migrations.map(({ name }) => name));
  const tooNew = recorded.filter(
    ({ migration, worksFrom }) => !known.has(migration) && !known.has(worksFrom),
  );
  if (tooNew.length === 0) return;
  throw new SchemaTooNew([...new Set(tooNew.map(({ worksFrom }) => worksFrom))]);
}
