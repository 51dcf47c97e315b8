import { randomInt } from 'node:crypto';
import type { PoolClient } from 'pg';
import type { Database } from './database.ts';
import { isSessionUseless } from './postgres-errors.ts';
import { sessionLimits, sessionPlanning } from './session.ts';

/** The pooler of DATABASE_URL, or the role behind it, is not set for the service. */
export class PoolerUnfit extends Error {
  override readonly name = 'PoolerUnfit';
}

/** A session that others use as well may come back by chance. */
const roundsMax = 3;
const answerTimeoutMs = 5_000;

/**
 * Where DATABASE_URL leads to a pooler that gives out sessions for a transaction alone, and DATABASE_DIRECT_URL past it:
 * both must lead to the same database, statements that were prepared must be found again, and the role must have the
 * limits that a session of our own would be given.
 *
 * @throws PoolerUnfit that says what to set.
 */
export async function assertPoolerFits(
  database: Pick<Database, 'connect' | 'pooler'>,
): Promise<void> {
  if (database.pooler === undefined) return;
  const one = await database.pooler.connect();
  try {
    await assertSameDatabase(one, database);
    const other = await database.pooler.connect();
    try {
      await assertStatementsKept(one, other);
    } finally {
      other.release(true);
    }
    await assertRoleSet(one);
  } finally {
    // Whatever a pooler makes of it, nobody goes on with it.
    one.release(true);
  }
}

/** A lock that is taken on one way is seen on the other, in the same database of the same server alone. */
async function assertSameDatabase(
  pooled: PoolClient,
  { connect }: Pick<Database, 'connect'>,
): Promise<void> {
  const direct = await connect();
  const [high, low] = [randomInt(2 ** 31), randomInt(2 ** 31)];
  try {
    await direct.query(bounded(`select pg_advisory_lock(${high}, ${low})`));
    const { rows } = await pooled.query(
      bounded(`
        select from pg_locks where locktype = 'advisory' and classid = ${high} and objid = ${low}
          and database = (select oid from pg_database where datname = current_database())`),
    );
    if (rows.length > 0) return;
    throw new PoolerUnfit(
      'DATABASE_URL and DATABASE_DIRECT_URL lead to different databases: they must be two ways to the same one',
    );
  } finally {
    // The lock ends with it.
    direct.release(true);
  }
}

/**
 * A pooler gives a free session to whoever begins next. So `other` meets the one on which `one` has prepared its statement, or
 * `one` meets another one than before: PostgreSQL then has the name twice, or not at all, unless the pooler sees to it.
 */
async function assertStatementsKept(one: PoolClient, other: PoolClient): Promise<void> {
  const prepared = { ...bounded('select 1'), name: `harbor_pooler_${randomInt(2 ** 31)}` };
  try {
    for (let round = 0; round < roundsMax; round++) {
      await one.query(prepared);
      await other.query(bounded('begin'));
      await other.query(prepared);
      await other.query(bounded('commit'));
    }
  } catch (error) {
    if (!isSessionUseless(error)) throw error;
    throw new PoolerUnfit(
      'the pooler of DATABASE_URL loses prepared statements: it takes PgBouncer 1.21 or later with ' +
        'max_prepared_statements = 200 and pool_mode = transaction',
      { cause: error },
    );
  }
}

interface RoleSetting {
  readonly name: string;
  /** The role and database as SQL takes them. */
  readonly role: string;
  readonly database: string;
}

/** @throws PoolerUnfit with the statements that mend it. */
async function assertRoleSet(pooled: PoolClient): Promise<void> {
  const wanted = Object.entries({ ...sessionLimits, ...sessionPlanning }).map(
    ([name, value]) => [name, `${value}`] as const,
  );
  const { rows } = await pooled.query<RoleSetting>({
    ...bounded(`
      select name, quote_ident(session_user) as role, quote_ident(current_database()) as database
      from unnest($1::text[], $2::text[]) as wanted (name, value) join pg_settings using (name)
      where setting <> value`),
    values: [wanted.map(([name]) => name), wanted.map(([, value]) => value)],
  });
  if (rows.length === 0) return;
  const values = new Map(wanted);
  const statements = rows.map(
    ({ name, role, database }) =>
      `alter role ${role} in database ${database} set ${name} = '${values.get(name)}';`,
  );
  throw new PoolerUnfit(
    'behind a pooler the role brings what sessions are otherwise set to, and here it does not. Run ' +
      `${statements.join(' ')} and then RECONNECT in PgBouncer's console: a session keeps what it began with`,
  );
}

/** A pooler lets a query wait for a session, for two minutes when nothing is said. */
function bounded(text: string) {
  return { text, query_timeout: answerTimeoutMs };
}
