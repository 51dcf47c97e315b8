import type { Database } from '../../database/database.ts';
import { boundAt } from '../../database/partitions/period.ts';
import { isTransient } from '../../database/postgres-errors.ts';
import { type SchemaSession, tryWithSchemaLock } from '../../database/schema-session.ts';
import type { Statement } from '../../database/statements.ts';

/**
 * Keeps the partitions of `webhook_attempts`: one for each week of windows, made before it is needed and dropped when its
 * deliveries are kept no more. What belongs to none, such as the requests of a delivery that waited behind a paused endpoint
 * for months, is in a partition for the rest.
 */
export interface AttemptPartitions {
  /** One round; any process may do it, and does nothing while somebody else changes the schema. */
  keep(): Promise<{ readonly made: readonly string[]; readonly dropped: readonly string[] }>;
}

const dayMs = 24 * 60 * 60_000;
const weekMs = 7 * dayMs;
/** The first Monday of 1970. */
const mondayMs = 4 * dayMs;
const weeksAhead = 3;
/** From the making of a delivery to the end of its schedule. */
const daysUnderWay = 5;
/** Whoever comes after a change that waits for its lock waits with it. */
const lockTimeoutMs = 200;
const timeoutMs = 10_000;

const lookStatement: Statement = {
  name: 'harbor_webhooks_attempt_partitions',
  text: `
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms, array(
      select relname::text from pg_inherits join pg_class on oid = inhrelid
      where inhparent = to_regclass('webhook_attempts') order by relname) as names`,
};

/** So many at a time that nobody waits for it. */
const sweepRestStatement: Statement = {
  name: 'harbor_webhooks_sweep_rest',
  text: `
    delete from webhook_attempts_rest where ctid = any(array(
      select ctid from webhook_attempts_rest
      where started_at < clock_timestamp() - $1::int * interval '1 day' limit 10000))`,
};

/** @param logDays for which deliveries are kept after their end. */
export function createAttemptPartitions(
  database: Pick<Database, 'connect' | 'statements'>,
  logDays: number,
): AttemptPartitions {
  return {
    async keep() {
      const [row] = await database.statements.run<LookRow>(lookStatement, [], timeoutMs);
      const { now_ms: nowMs, names } = row as LookRow;
      const missing = weeksFrom(nowMs).filter((week) => !names.includes(nameOf(week)));
      const keptMs = (logDays + daysUnderWay) * dayMs;
      const over = names.filter((name) => {
        const week = findWeek(name);
        return week !== undefined && week + weekMs + keptMs <= nowMs;
      });
      await database.statements.run(sweepRestStatement, [logDays], timeoutMs);
      const done = { made: [] as string[], dropped: [] as string[] };
      if (missing.length + over.length === 0) return done;
      await tryWithSchemaLock(database, async (session) => {
        for (const week of missing) await tryTo(() => make(session, week), done.made, nameOf(week));
        for (const name of over) await tryTo(() => drop(session, name), done.dropped, name);
      });
      return done;
    },
  };
}

interface LookRow {
  readonly now_ms: number;
  readonly names: readonly string[];
}

function weeksFrom(nowMs: number): number[] {
  const first = nowMs - ((((nowMs - mondayMs) % weekMs) + weekMs) % weekMs);
  return Array.from({ length: weeksAhead + 1 }, (_, index) => first + index * weekMs);
}

/** `webhook_attempts_20261123`: by the day on which its week begins. */
function nameOf(week: number): string {
  return `webhook_attempts_${new Date(week).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

function findWeek(name: string): number | undefined {
  const [, year, month, day] = /^webhook_attempts_(\d{4})(\d\d)(\d\d)$/.exec(name) ?? [];
  return year === undefined ? undefined : Date.parse(`${year}-${month}-${day}`);
}

/** A later round does what somebody's lock was in the way of, or another process has done meanwhile. */
async function tryTo(change: () => Promise<void>, done: string[], name: string): Promise<void> {
  try {
    await change();
    done.push(name);
  } catch (error) {
    if (!isTransient(error)) throw error;
  }
}

/** What the rest holds of that week goes where it belongs: a process whose clock is ahead has sent it there. */
function make(session: SchemaSession, week: number): Promise<void> {
  const name = nameOf(week);
  const [from, until] = [boundAt(new Date(week)), boundAt(new Date(week + weekMs))];
  return session.inTransaction(lockTimeoutMs, async () => {
    if (await isThere(session, name)) return;
    await session.query('lock table webhook_attempts_rest in access exclusive mode');
    await session.query(
      `create table ${name} (like webhook_attempts including defaults including storage)`,
    );
    await session.query(`
      with moved as (
        delete from webhook_attempts_rest where window_id >= '${from}' and window_id < '${until}' returning *
      )
      insert into ${name} select * from moved`);
    await session.query(`
      alter table webhook_attempts attach partition ${name} for values from ('${from}') to ('${until}')`);
  });
}

async function isThere({ query }: SchemaSession, name: string): Promise<boolean> {
  const [row] = await query<{ is_there: boolean }>(
    'select to_regclass($1) is not null as is_there',
    [name],
  );
  return row?.is_there === true;
}

function drop(session: SchemaSession, name: string): Promise<void> {
  return session.inTransaction(lockTimeoutMs, async () => {
    await session.query(`drop table if exists ${name}`);
  });
}
