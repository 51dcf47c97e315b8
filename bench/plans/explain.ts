import pg from 'pg';
import { median } from '../rounds.ts';
import type { Step } from './record.ts';

/** Of PostgreSQL: what it chooses for a prepared statement by itself, and what it can be made to take. */
export type PlanMode = 'auto' | 'force_custom_plan' | 'force_generic_plan';

export interface Explained {
  /** Planning and execution, in milliseconds: the median of several runs, caches warm. */
  readonly ms: number;
  /** EXPLAIN (ANALYZE, BUFFERS) of the last run, without costs. */
  readonly plan: string;
  /** Of an automatic choice: whether it came to be the plan for all values. */
  readonly isGeneric: boolean;
}

/** PostgreSQL tries five plans for the values at hand before it considers one for all. */
const warmUps = 6;
const runs = 7;

/** Prepares a step's statement as the service does, runs it, and explains it. */
export async function explain(client: pg.Client, step: Step, mode: PlanMode): Promise<Explained> {
  const { name, text } = step.statement;
  await client.query('deallocate all');
  await client.query(`set plan_cache_mode = ${mode}`);
  await client.query(`prepare ${name} as ${text}`);
  const execute = `execute ${name}(${step.values.map(toLiteral)})`;
  for (let n = 0; n < warmUps; n++) await client.query(execute);
  const times: number[] = [];
  let lines: string[] = [];
  for (let n = 0; n < runs; n++) {
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `explain (analyze, buffers, costs off, timing off) ${execute}`,
    );
    lines = rows.map((row) => row['QUERY PLAN']);
    times.push(timeIn(lines, 'Planning') + timeIn(lines, 'Execution'));
  }
  const { rows } = await client.query<{ generic_plans: string }>(
    'select generic_plans from pg_prepared_statements where name = $1',
    [name],
  );
  const isGeneric = Number(rows[0]?.generic_plans) > 0;
  return { ms: median(times), plan: summarise(lines), isGeneric };
}

function timeIn(lines: readonly string[], what: string): number {
  const line = lines.find((one) => one.startsWith(`${what} Time: `));
  return Number(line?.slice(`${what} Time: `.length).split(' ')[0]);
}

/** Without the times, which stand in the table, and the buffers of all but the whole. */
function summarise(lines: readonly string[]): string {
  const end = lines.findIndex((line) => /^(Planning|Execution)/.test(line));
  const whole = lines.findIndex((line) => line.includes('Buffers: '));
  return lines
    .slice(0, end < 0 ? undefined : end)
    .filter((line, index) => index <= whole || !line.includes('Buffers: '))
    .join('\n');
}

/** A parameter as it is written in SQL. */
export function toLiteral(value: unknown): string {
  if (typeof value === 'number') return `${value}`;
  if (typeof value === 'boolean') return `${value}`;
  if (value instanceof Date) return `'${value.toISOString()}'`;
  if (Buffer.isBuffer(value)) return `'{${uuidsIn(value)}}'`;
  if (!Array.isArray(value)) return pg.escapeLiteral(`${value}`);
  return `array[${value.map((one) => pg.escapeLiteral(`${one}`)).join()}]::text[]`;
}

/** The elements of an array of UUIDs in PostgreSQL's binary format: a header, and each with its length before it. */
function uuidsIn(array: Buffer): string[] {
  const [headerBytes, elementBytes] = [20, 20];
  const count = (array.byteLength - headerBytes) / elementBytes;
  return Array.from({ length: count }, (_, index) => {
    const end = headerBytes + (index + 1) * elementBytes;
    return array.toString('hex', end - 16, end);
  });
}
