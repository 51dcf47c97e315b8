import { execFile } from 'node:child_process';
import { resolve } from 'node:path';

const wayIn = resolve(import.meta.dirname, '../../src/harbor.js');

/** What a command of the CLI has left behind. */
export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the CLI with this environment and nothing else of ours. */
export function runHarbor(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  { input = '', node = process.execPath }: { input?: string; node?: string | undefined } = {},
): Promise<CliResult> {
  return new Promise((done) => {
    const child = execFile(
      node,
      [wayIn, ...args],
      { env: { PATH: process.env.PATH, ...env } },
      (error, stdout, stderr) =>
        done({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}
