import pg from 'pg';
import type { Step } from './record.ts';

export interface Explained {
  /** Planning and execution, in milliseconds, caches warm: the shortest of several runs, since what else runs only adds. */
  readonly ms: number;
  /** Pages of tables and indexes that were touched, in memory or not. */
  readonly buffers: number;
  /** EXPLAIN (ANALYZE, BUFFERS) of the last run, without costs; partitions that are read alike are counted. */
  readonly plan: string;
}

const warmUps = 3;
const runs = 15;

/** Prepares a step's statement as the service does, runs it, and explains it. */
export async function explain(client: pg.ClientBase, step: Step): Promise<Explained> {
  const { name, text } = step.statement;
  await client.query('deallocate all');
  await client.query(`prepare ${name} as ${text}`);
  const execute = `execute ${name}(${step.values.map(toLiteral)})`.replace('()', '');
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
  return { ms: Math.min(...times), buffers: buffersIn(lines), plan: summarise(lines) };
}

function timeIn(lines: readonly string[], what: string): number {
  const line = lines.find((one) => one.startsWith(`${what} Time: `));
  return Number(line?.slice(`${what} Time: `.length).split(' ')[0]);
}

/** The first line of them is that of the whole. */
export function buffersIn(lines: readonly string[]): number {
  const whole = lines.find((line) => line.includes('Buffers: shared')) ?? '';
  const counts = [...whole.matchAll(/(?:hit|read)=(\d+)/g)].map(([, count]) => Number(count));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Without the times, which stand in the table, and the buffers of all but the whole. */
function summarise(lines: readonly string[]): string {
  const end = lines.findIndex((line) => /^(Planning|Execution)/.test(line));
  const whole = lines.findIndex((line) => line.includes('Buffers: '));
  const kept = lines
    .slice(0, end < 0 ? undefined : end)
    .filter((line, index) => index <= whole || !line.includes('Buffers: '));
  return countAlike(kept).join('\n');
}

/** Of the nodes that read partitions one beside the other, the first stays. */
function countAlike(lines: readonly string[]): string[] {
  const kept: string[] = [];
  let indent = -1;
  let alike = 0;
  const close = () => {
    if (alike > 0) kept.push(`${' '.repeat(indent)}(and ${alike} partitions more)`);
    alike = 0;
    indent = -1;
  };
  for (const [index, line] of lines.entries()) {
    const depth = /^ */.exec(line)?.[0].length ?? 0;
    const isInside = indent >= 0 && depth > indent;
    const isReading = !isInside && readsPartition(line, lines[index + 1]);
    if (isReading && depth === indent) alike++;
    else if (isInside && alike > 0) continue;
    else {
      if (!isInside) close();
      if (isReading) indent = depth;
      kept.push(line);
    }
  }
  close();
  return kept;
}

/** By an index, with or without a condition before it. */
function readsPartition(line: string, next = ''): boolean {
  if (/^ *-> {2}Index (?:Only )?Scan.* on events_/.test(line)) return true;
  return /^ *-> {2}Result /.test(line) && next.includes('One-Time Filter');
}

/** A parameter as it is written in SQL. */
export function toLiteral(value: unknown): string {
  if (value === null || value === undefined) return 'null';
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
