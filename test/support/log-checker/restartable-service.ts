import { createInterface } from 'node:readline';
import { type ServiceProcess, startServiceProcess } from '../service-process.ts';

/** A process of the service that can be killed, and comes back on the same port. */
export interface RestartableService {
  readonly baseUrl: string;
  /** The lines of its log that tell of an unforeseen error. */
  readonly errorLines: readonly string[];
  /** Ends it with SIGKILL and starts it again. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** @param entry that is run in place of `src/main.ts`. */
export async function startRestartableService(
  databaseUrl: string,
  env: Record<string, string> = {},
  entry?: string,
): Promise<RestartableService> {
  let running: ServiceProcess = await startServiceProcess(databaseUrl, env, entry);
  const { baseUrl } = running;
  const { port } = new URL(baseUrl);
  const errorLines: string[] = [];
  const keepErrors = ({ child }: ServiceProcess) => {
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (/^\{"level":[56]0,/.test(line)) errorLines.push(line);
    });
  };
  keepErrors(running);
  return {
    baseUrl,
    errorLines,
    async restart() {
      await running.kill('SIGKILL');
      running = await startServiceProcess(databaseUrl, { ...env, PORT: port }, entry);
      keepErrors(running);
    },
    stop: () => running.kill('SIGKILL'),
  };
}
