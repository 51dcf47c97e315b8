import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

const main = resolve(import.meta.dirname, '../../src/main.ts');

/** The service in a process of its own, to be killed or stopped. */
export interface ServiceProcess {
  readonly baseUrl: string;
  /** Where it shows its metrics, if it does. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
  readonly child: ChildProcess;
  /** Resolves with exit code and signal when the process has ended. */
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/**
 * Starts the service on a database and resolves when it listens.
 *
 * @param entry that is run, and logs as `src/main.ts` does.
 */
export async function startServiceProcess(
  databaseUrl: string,
  env: Record<string, string> = {},
  entry: string = main,
): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [entry], {
    env: { PATH: process.env.PATH, DATABASE_URL: databaseUrl, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  const lines = createInterface({ input: child.stdout });
  let metrics: ServiceProcess['metrics'];
  const port = await new Promise<number>((found, failed) => {
    ended.then(() => failed(new Error('the service ended before it listened')));
    lines.on('line', (line) => {
      const entry = JSON.parse(line);
      if (entry.msg === 'metrics') metrics = entry;
      if (entry.msg === 'listening') found(entry.port);
    });
  });
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    metrics,
    child,
    ended,
    async kill(signal) {
      child.kill(signal);
      await ended;
    },
  };
}
