import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EmbeddedPostgresError } from './error.ts';

/** A running process that serves one data folder. */
export interface ServerProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly commandLine: string;
}

/** Where a server is, and the program that signals it on Windows. */
export interface ServerLocation {
  readonly dataDir: string;
  readonly pgCtl: string;
}

type EndSignal = 'SIGINT' | 'SIGQUIT' | 'SIGKILL';

/**
 * SIGINT is the fast shutdown with a checkpoint; SIGQUIT leaves the recovery to the next start,
 * and the postmaster itself kills its children after 5 s of it. Nothing committed is lost by any.
 */
const END_STEPS: readonly { signal: EndSignal; waitMs: number }[] = [
  { signal: 'SIGINT', waitMs: 20_000 },
  { signal: 'SIGQUIT', waitMs: 7_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
];
/** Children notice the postmaster's death at once, unless they compute without a pause. */
const ORPHAN_WAIT_MS = 2_000;
const POLL_INTERVAL_MS = 20;

/** The setting by which a postmaster tells who started it. PostgreSQL itself ignores it. */
export const PARENT_SETTING = 'harbor.parent_pid';

/** The postmasters this process has asked to end. */
const ending = new Set<number>();

/** Whether a process with this id exists, of whatever user. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/**
 * The processes that serve `dataDir`. On Linux all of them, told by program and working folder, so
 * a reused process id is never taken for a server; elsewhere the postmaster `postmasterPid` only,
 * told by its command line.
 */
export function listServerProcesses(
  dataDir: string,
  postmasterPid: number | undefined,
): ServerProcess[] {
  if (process.platform === 'linux') return listByWorkingFolder(dataDir);
  if (postmasterPid === undefined || !isAlive(postmasterPid)) return [];
  const found = process.platform === 'win32' ? askWindows(postmasterPid) : askPs(postmasterPid);
  return found?.commandLine.includes('postgres') && found.commandLine.includes(dataDir)
    ? [found]
    : [];
}

/**
 * Ends what an earlier service left running on this data folder, and removes a pid file that would
 * keep PostgreSQL from starting because its number now belongs to some other process.
 *
 * @throws EmbeddedPostgresError when the process that started the server still lives
 */
export async function endLeftover(location: ServerLocation): Promise<void> {
  // The file first, the processes second: a server that writes the file in between is then seen.
  const postmasterPid = readPostmasterPid(location.dataDir);
  const processes = listServerProcesses(location.dataDir, postmasterPid);
  const owner = processes.map(livingStarter).find((pid) => pid !== undefined);
  if (owner !== undefined) {
    throw new EmbeddedPostgresError(
      `Harbor Events is running in this folder already, as process ${owner}, and uses ` +
        `${location.dataDir}: stop it first, or start in another folder.`,
    );
  }
  if (processes.length > 0) await endProcesses(location, processes, postmasterPid);
  removeMisleadingPidFile(location.dataDir);
}

/**
 * PostgreSQL does not start while the number in the pid file is that of any process of its user:
 * one that got the number later, or its own predecessor, killed and not yet reaped by its parent.
 */
function removeMisleadingPidFile(dataDir: string): void {
  const pid = readPostmasterPid(dataDir);
  if (pid === undefined || !isAlive(pid) || listServerProcesses(dataDir, pid).length > 0) return;
  rmSync(join(dataDir, 'postmaster.pid'), { force: true });
}

/**
 * Ends the given processes of one server: fast shutdown, then SIGQUIT after 20 s, then SIGKILL
 * after 7 s more. Resolves when none of them and no child of theirs is left.
 *
 * @throws EmbeddedPostgresError when a process outlives SIGKILL by 5 s
 */
export async function endProcesses(
  location: ServerLocation,
  processes: readonly ServerProcess[],
  postmasterPid: number | undefined,
): Promise<void> {
  // Told by number, for a new server may be started on the folder as soon as these are gone.
  const pids = new Set(processes.map(({ pid }) => pid));
  const listRemaining = () =>
    listServerProcesses(location.dataDir, postmasterPid).filter(
      ({ pid, parentPid }) => pids.has(pid) || pids.has(parentPid),
    );
  for (const { signal, waitMs } of END_STEPS) {
    signalProcesses(location, listRemaining(), postmasterPid, signal);
    const isOrphaned = signal === 'SIGINT' && !pids.has(postmasterPid ?? 0);
    const deadlineMs = performance.now() + (isOrphaned ? ORPHAN_WAIT_MS : waitMs);
    while (performance.now() < deadlineMs) {
      if (listRemaining().length === 0) return;
      await delay(POLL_INTERVAL_MS);
    }
  }
  const left = listRemaining().map(({ pid }) => pid);
  throw new EmbeddedPostgresError(
    `The PostgreSQL server of ${location.dataDir} cannot be ended (a hung disk can hold it): end ` +
      `process ${left.join(', ')} by hand.`,
  );
}

/**
 * SIGINT goes to the postmaster alone, for a child takes it as "cancel the query"; orphans of a
 * dead postmaster leave by themselves. SIGKILL goes to the postmaster, then to every child.
 */
export function signalProcesses(
  location: ServerLocation,
  processes: readonly ServerProcess[],
  postmasterPid: number | undefined,
  signal: EndSignal,
): void {
  const postmaster = processes.find(({ pid }) => pid === postmasterPid);
  if (postmaster !== undefined) {
    ending.add(postmaster.pid);
    sendSignal(location, postmaster.pid, signal);
  }
  if (signal === 'SIGINT' || (signal === 'SIGQUIT' && postmaster !== undefined)) return;
  for (const child of processes) {
    if (child !== postmaster) sendSignal(location, child.pid, signal);
  }
}

function sendSignal({ pgCtl }: ServerLocation, pid: number, signal: EndSignal): void {
  try {
    if (process.platform !== 'win32') process.kill(pid, signal);
    else if (signal !== 'SIGKILL') execFileSync(pgCtl, ['kill', signal.slice(3), String(pid)]);
    else execFileSync('taskkill', ['/pid', String(pid), '/f', '/t'], { stdio: 'ignore' });
  } catch {
    // It has ended in between.
  }
}

/**
 * The process that started this server, while it lives (an orphan gets another parent), unless it
 * is this process and has asked the server to end.
 */
function livingStarter({ commandLine, parentPid, pid }: ServerProcess): number | undefined {
  if (parentPid === process.pid && ending.has(pid)) return undefined;
  const starter = Number(/harbor\.parent_pid=(\d+)/.exec(commandLine)?.[1] ?? Number.NaN);
  return starter === parentPid && isAlive(starter) ? starter : undefined;
}

function readPostmasterPid(dataDir: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8'), 10);
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function listByWorkingFolder(dataDir: string): ServerProcess[] {
  const folder = statSync(dataDir);
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      // "(deleted)" follows the path when the program has been replaced by an update.
      if (!/^postgres( |$)/.test(basename(readlinkSync(`/proc/${name}/exe`)))) return [];
      const { dev, ino } = statSync(`/proc/${name}/cwd`);
      if (dev !== folder.dev || ino !== folder.ino) return [];
      return [readProcess(name)];
    } catch {
      // It has ended, or it belongs to another user and so is not a server of our folder.
      return [];
    }
  });
}

function readProcess(name: string): ServerProcess {
  const state = readFileSync(`/proc/${name}/stat`, 'utf8');
  // The fields after the program's name, which stands in brackets: state, parent, ...
  const [, parentPid] = state.slice(state.lastIndexOf(')') + 2).split(' ');
  const commandLine = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
  return { pid: Number(name), parentPid: Number(parentPid), commandLine };
}

function askPs(pid: number): ServerProcess | undefined {
  return parseProcess(pid, 'ps', ['-ww', '-o', 'ppid=,command=', '-p', String(pid)]);
}

function askWindows(pid: number): ServerProcess | undefined {
  const query =
    `$p = Get-CimInstance Win32_Process -Filter "ProcessId=${pid}"; ` +
    '"$($p.ParentProcessId) $($p.CommandLine)"';
  return parseProcess(pid, 'powershell', ['-NoProfile', '-NonInteractive', '-Command', query]);
}

function parseProcess(pid: number, program: string, settings: string[]): ServerProcess | undefined {
  try {
    const output = execFileSync(program, settings, { encoding: 'utf8', windowsHide: true });
    const [, parentPid, commandLine] = /^\s*(\d+)\s+(.*)/s.exec(output) ?? [];
    if (commandLine === undefined) return undefined;
    return { pid, parentPid: Number(parentPid), commandLine };
  } catch {
    return undefined;
  }
}
