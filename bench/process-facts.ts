import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

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
