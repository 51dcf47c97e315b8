import { spawn } from 'node:child_process';

export interface CommandOptions {
  readonly cwd?: string;
  /** On top of the environment of this process. */
  readonly env?: Record<string, string>;
  readonly timeoutMs: number;
  /** Shows what the command says while it runs. */
  readonly echo?: boolean;
}

/** A command of another toolchain that did not end well; the message holds the end of what it said. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}

/** Runs a command to its end and resolves with what it wrote to standard output. @throws CommandFailed */
export async function runCommand(
  command: string,
  args: readonly string[],
  { cwd, env, timeoutMs, echo }: CommandOptions,
): Promise<string> {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that what the command has started ends with it.
    detached: true,
  });
  const output: Buffer[] = [];
  const said: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => said.push(chunk));
    if (echo === true) stream.pipe(process.stdout, { end: false });
  }
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, timeoutMs);
  const outcome = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) =>
      resolve(code === 0 ? '' : `ended with ${code ?? signal}`),
    );
  });
  clearTimeout(timer);
  if (outcome === '') return Buffer.concat(output).toString();
  const why = timedOut ? `not done after ${timeoutMs / 1000} s` : outcome;
  const tail = Buffer.concat(said).toString().trim().split('\n').slice(-40);
  const lines = [`${[command, ...args].join(' ')}: ${why}`, ...(echo === true ? [] : tail)];
  throw new CommandFailed(lines.join('\n'));
}

/** Whether a command is there and answers. */
export async function hasCommand(command: string, ...args: string[]): Promise<boolean> {
  return runCommand(command, args, { timeoutMs: 30_000 }).then(
    () => true,
    () => false,
  );
}
