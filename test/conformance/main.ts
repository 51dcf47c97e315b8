import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { hasCommand, runCommand } from '../toolchains/run-command.ts';

/**
 * `npm run conformance`: the suite of Connect against the server of this project, with the suite's own
 * service behind it. Front, adapter, gate, interceptors, router and streams are those of the service: ServerStream
 * is written beside Connect, as ours are, and the others, of clients and in both directions, go through it, message by
 * message. Three things
 * differ, all of them in `conformance-routes.ts`:
 *
 * - errors leave without the ErrorInfo that each of ours carries, since the suite counts their details;
 * - JSON is given the suite's types, since the suite sends Any, which no message of ours has;
 * - messages are bounded as the suite wants it. The bound of a body as a whole, 2 MiB, stays.
 *
 * Needs Go, which builds the suite. Arguments are the suite's own (`npm run conformance -- --run 'Basic/**'
 * --trace`).
 */
const suite = 'connectrpc.com/conformance';
const version = 'v1.0.7';
/** Of this version, with the features in `suite.yaml`: fewer would mean that something was left out. */
const casesCount = 5_256;
const buildTimeoutMs = 5 * 60_000;
const runTimeoutMs = 5 * 60_000;

const here = import.meta.dirname;
const root = resolve(here, '../..');

async function main(): Promise<void> {
  if (!(await hasCommand('go', 'version'))) {
    process.stdout.write('skipped: conformance (needs go)\n');
    return;
  }
  const directory = await mkdtemp(join(tmpdir(), 'harbor-conformance-'));
  try {
    const runner = await buildRunner(directory);
    const schema = await writeSchema(directory);
    await runSuite(runner, schema);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Go keeps what it has built, so that only the first time takes its minute. */
async function buildRunner(directory: string): Promise<string> {
  await runCommand('go', ['install', `${suite}/cmd/connectconformance@${version}`], {
    env: { GOBIN: directory },
    timeoutMs: buildTimeoutMs,
  });
  return join(directory, 'connectconformance');
}

/** The suite's protos come with its module. */
async function writeSchema(directory: string): Promise<string> {
  const module = await runCommand('go', ['mod', 'download', '-json', `${suite}@${version}`], {
    timeoutMs: buildTimeoutMs,
  });
  const protos = join(JSON.parse(module).Dir, 'proto');
  const schema = join(directory, 'schema.binpb');
  await runCommand(join(root, 'node_modules/.bin/buf'), ['build', protos, '-o', schema], {
    cwd: root,
    timeoutMs: buildTimeoutMs,
  });
  return schema;
}

async function runSuite(runner: string, schema: string): Promise<void> {
  const wanted = process.argv.slice(2);
  const said = await runCommand(
    runner,
    [
      ...['--mode', 'server', '--conf', join(here, 'suite.yaml')],
      ...['--max-servers', '2', '--parallel', '4', ...wanted],
      ...['--', process.execPath, join(here, 'server.ts'), schema],
    ],
    { timeoutMs: runTimeoutMs, echo: true },
  );
  const [, cases] = /^Total cases: (\d+)$/m.exec(said) ?? [];
  if (wanted.length > 0 || Number(cases) === casesCount) return;
  throw new Error(`the suite ran ${cases} cases instead of ${casesCount}`);
}

try {
  await main();
} catch (error) {
  process.stdout.write(`conformance failed: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
