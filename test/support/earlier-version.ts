import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');

/** A commit of this repository as a program, run with the packages of today. */
export interface EarlierVersion {
  /** To be started in place of `src/main.ts`. */
  readonly main: string;
  /** Runs a command of its CLI on a database, and resolves with what it printed. */
  harbor(databaseUrl: string, ...args: string[]): Promise<string>;
  remove(): Promise<void>;
}

/** A clone may lack history. */
export async function isInClone(commit: string): Promise<boolean> {
  return run('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: root }).then(
    () => true,
    () => false,
  );
}

export async function checkOut(commit: string): Promise<EarlierVersion> {
  const folder = await mkdtemp(join(tmpdir(), 'harbor-earlier-'));
  const script = 'git archive "$0" | tar --extract --directory "$1"';
  await run('bash', ['-euo', 'pipefail', '-c', script, commit, folder], { cwd: root });
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  return {
    main: join(folder, 'src/main.ts'),
    async harbor(databaseUrl, ...args) {
      const env = { PATH: process.env.PATH, DATABASE_URL: databaseUrl };
      return (await run(process.execPath, [join(folder, 'src/cli.ts'), ...args], { env })).stdout;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
