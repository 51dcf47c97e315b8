import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import {
  chmod,
  lchown,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account.ts';
import { giveTree, statIfPresent } from './account.ts';
import { EmbeddedPostgresError, errorCode } from './error.ts';
import { isAlive } from './processes.ts';

/** The one role of the cluster, a superuser. */
export const CLUSTER_USER = 'harbor';

/** A complete cluster: `<directory>/cluster/{data,password}`. */
export interface Cluster {
  readonly dataDir: string;
  readonly password: string;
}

/** What a PostgreSQL program is started with. */
export interface ProgramContext {
  readonly account: Account | undefined;
  readonly initdb: string;
  /** Ends an initdb that is running. */
  readonly signal: AbortSignal | undefined;
}

const INITDB_TIMEOUT_MS = 300_000;
const PARTIAL_NAME = /^cluster-partial-(\d+)-/;

/** Partial clusters that calls of this very process are at work on. */
const inProgress = new Set<string>();

export const dataDirOf = (directory: string) => join(directory, 'cluster', 'data');

/**
 * The data folder as the program has to be told it. On Linux it is the program's own working
 * folder, which it reaches without permission to enter the folders above it.
 */
export const dataArgument = (dataDir: string) =>
  process.platform === 'linux' ? '/proc/self/cwd' : dataDir;

/** The few variables PostgreSQL needs: no `PG*`, no `LD_LIBRARY_PATH`, none of our secrets. */
export function programEnvironment(): NodeJS.ProcessEnv {
  const names = ['PATH', 'TZ', 'TMPDIR', 'SystemRoot', 'TEMP', 'TMP'];
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

/**
 * The cluster in `directory`, made when there is none. It appears whole, by one rename: what an
 * interrupted call left behind is removed.
 *
 * @throws EmbeddedPostgresError when initdb fails or is ended
 */
export async function openCluster(directory: string, context: ProgramContext): Promise<Cluster> {
  await removeAbandoned(directory);
  const dataDir = dataDirOf(directory);
  if ((await statIfPresent(dataDir)) === undefined) await makeCluster(directory, context);
  await adoptRootOwnedData(dataDir, context.account);
  await chmod(dataDir, 0o700);
  const password = (await readFile(join(directory, 'cluster', 'password'), 'utf8')).trim();
  return { dataDir, password };
}

/** A copy made by root belongs to root, whom PostgreSQL refuses: the copy goes to the account. */
async function adoptRootOwnedData(dataDir: string, account: Account | undefined): Promise<void> {
  if (account === undefined || (await stat(dataDir)).uid === account.uid) return;
  await giveTree(dataDir, account);
}

async function removeAbandoned(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = Number(PARTIAL_NAME.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(pid)) continue;
    const path = join(directory, name);
    if (pid === process.pid ? inProgress.has(path) : isAlive(pid)) continue;
    // An orphaned initdb may still be writing here; then the next start removes the rest.
    await rm(path, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
  }
}

async function makeCluster(directory: string, context: ProgramContext): Promise<void> {
  const partial = await mkdtemp(join(directory, `cluster-partial-${process.pid}-`));
  inProgress.add(partial);
  try {
    await fillCluster(partial, context);
    const owner = await stat(directory);
    if (context.account !== undefined) await lchown(partial, owner.uid, owner.gid);
    await rename(partial, join(directory, 'cluster'));
    await syncFolder(directory);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    // Another process that finished first has made the cluster.
    if (!['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(errorCode(error) ?? '')) throw error;
    if ((await statIfPresent(dataDirOf(directory))) === undefined) throw error;
  } finally {
    inProgress.delete(partial);
  }
}

async function fillCluster(partial: string, context: ProgramContext): Promise<void> {
  const dataDir = join(partial, 'data');
  const passwordFile = join(partial, 'password');
  await mkdir(dataDir, { mode: 0o700 });
  const file = await open(passwordFile, 'wx+', 0o600);
  try {
    await file.writeFile(`${randomBytes(24).toString('base64url')}\n`);
    if (context.account !== undefined) {
      await lchown(dataDir, context.account.uid, context.account.gid);
      await file.chown(context.account.uid, context.account.gid);
    }
    await file.sync();
    await runInitdb(dataDir, passwordFile, file, context);
  } finally {
    await file.close();
  }
}

async function runInitdb(
  dataDir: string,
  passwordFile: string,
  password: FileHandle,
  { account, initdb, signal }: ProgramContext,
): Promise<void> {
  const isLinux = process.platform === 'linux';
  const settings = [
    `--pgdata=${dataArgument(dataDir)}`,
    // Like the data folder, the password is reached without passing the folders above it.
    `--pwfile=${isLinux ? '/dev/stdin' : passwordFile}`,
    `--username=${CLUSTER_USER}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // PostgreSQL's own C.UTF-8 sorts alike on all systems; the system's one is missing on some.
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    `--locale=${isLinux ? 'C.UTF-8' : 'C'}`,
  ];
  signal?.throwIfAborted();
  const child = spawn(initdb, settings, {
    cwd: dataDir,
    env: programEnvironment(),
    stdio: [password.fd, 'ignore', 'pipe'],
    timeout: INITDB_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    ...account,
  });
  let output = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-4_000);
  });
  const end = () => void child.kill('SIGKILL');
  signal?.addEventListener('abort', end, { once: true });
  process.once('exit', end);
  const failure = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    // 'close' comes once the programs that initdb runs have ended too: they hold the same pipe.
    child.once('close', (code, endSignal) => {
      if (code === 0) return resolve(undefined);
      resolve(output.trim().replaceAll(/\s*\n\s*/g, ' | ') || `ended by ${endSignal ?? code}`);
    });
  });
  signal?.removeEventListener('abort', end);
  process.off('exit', end);
  if (failure === undefined) return;
  const user = account === undefined ? '' : ` as uid ${account.uid}`;
  throw new EmbeddedPostgresError(`The database cannot be made, initdb${user} failed: ${failure}`);
}

/** Makes the rename last through a power cut; Windows cannot open folders and needs no such step. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}
