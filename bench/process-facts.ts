import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Linux counts CPU time in these on every platform that Node runs on. */
const msPerTick = 10;

/** Resident memory of a process, or undefined where it cannot be told (Windows). */
export function readRssBytes(pid: number): number | undefined {
  if (process.platform === 'win32') return undefined;
  if (process.platform !== 'linux') {
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', `${pid}`], { encoding: 'utf8' })) * 1024;
  }
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

/** CPU time that a process has used so far, or undefined where it cannot be told (not Linux). */
export function readCpuMs(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The fields after the program's name, which stands in brackets: utime and stime are 14 and 15 of all.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * msPerTick;
}

/**
 * CPU time in microseconds that a process of one thread has used so far, as a session of PostgreSQL is one: to the
 * nanosecond where the kernel counts it, else by ticks; undefined where it cannot be told (not Linux).
 */
export function readThreadCpuUs(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const file = `/proc/${pid}/schedstat`;
  if (existsSync(file)) return Number(readFileSync(file, 'utf8').split(' ')[0]) / 1000;
  return (readCpuMs(pid) ?? Number.NaN) * 1000;
}

/**
 * CPU time that PostgreSQL has used so far, all of its processes together, those that have ended too.
 *
 * @param pid of the process that started the others.
 */
export function readPostgresCpuMs(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  let ticks = 0;
  for (const name of readdirSync('/proc')) {
    const fields = /^\d+$/.test(name) ? readStatFields(name) : undefined;
    if (fields === undefined) continue;
    const [, parent, utime, stime, ofEndedUser, ofEndedSystem] = fields;
    if (Number(name) === pid) ticks += utime + stime + ofEndedUser + ofEndedSystem;
    else if (parent === pid) ticks += utime + stime;
  }
  return ticks * msPerTick;
}

/** Pid, parent, and CPU time of its own and of children that have ended; undefined when it has ended itself. */
function readStatFields(pid: string): [number, number, number, number, number, number] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [, parent = 0] = fields;
    const [utime = 0, stime = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15);
    return [Number(pid), parent, utime, stime, endedUser, endedSystem];
  } catch {
    return undefined;
  }
}

/**
 * Does some work and tells how much CPU time a process has used meanwhile, in microseconds for each of the
 * things that were done; undefined where that cannot be told (not Linux).
 */
export async function withCpuTime<Result>(
  pid: number,
  work: () => Promise<Result>,
  countOf: (result: Result) => number,
): Promise<{ readonly result: Result; readonly cpuUs: number | undefined }> {
  const before = readCpuMs(pid);
  const result = await work();
  const after = readCpuMs(pid);
  const known = before !== undefined && after !== undefined;
  return { result, cpuUs: known ? ((after - before) * 1000) / countOf(result) : undefined };
}
