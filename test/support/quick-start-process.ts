import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';

const main = resolve(import.meta.dirname, '../../src/main.ts');

/** `npm start` without npm: the quick start in a process of its own, on a data folder of its own. */
export interface QuickStartProcess {
  readonly child: ChildProcess;
  /** What it printed so far. */
  output(): string;
  /** The facts of `dev.env`. */
  devEnv(): Promise<Record<string, string>>;
  /** Resolves when it is ready for calls. */
  readonly ready: Promise<void>;
  /** Resolves when it has ended. */
  readonly ended: Promise<{ code: number | null; output: string }>;
}

export function startQuickStart(
  dataDirectory: string,
  env: Record<string, string> = {},
): QuickStartProcess {
  const child = spawn(process.execPath, [main, '--quick-start'], {
    env: { PATH: process.env.PATH, HARBOR_DATA_DIR: dataDirectory, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, output }));
  const ready = new Promise<void>((resolve, reject) => {
    const onData = (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('Run it twice')) resolve();
    };
    child.stdout.on('data', onData);
    child.stderr.on('data', onData);
    ended.then(() => reject(new Error(`the quick start ended: ${output}`)));
  });
  ready.catch(() => undefined);
  return {
    child,
    output: () => output,
    devEnv: async () =>
      parseEnv(await readFile(join(dataDirectory, 'dev.env'), 'utf8')) as Record<string, string>,
    ready,
    ended,
  };
}
