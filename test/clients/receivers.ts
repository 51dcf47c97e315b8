import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { webhooks } from '../../sdk/src/index.ts';
import { newWebhookSecret } from '../../src/webhooks/signing/sign.ts';
import { runCommand } from '../toolchains/run-command.ts';
import { toolCache } from '../toolchains/tool-cache.ts';
import { readSections } from './page.ts';

/** A program of docs/webhook-delivery.md that receives webhooks. */
export interface ReceiverProgram {
  readonly name: string;
  /** The file that the page has it in. */
  readonly file: string;
  /** Exports a handler as fetch has it, and does not listen itself. */
  readonly isHandler?: boolean;
  /** Packages beside those of this checkout. */
  readonly npm?: readonly string[];
  /** Makes it ready in its folder. */
  readonly prepare?: readonly (readonly [command: string, ...args: string[]])[];
  /** How it is started; default: by Node. */
  readonly start?: readonly [command: string, ...args: string[]];
  /** A command that answers where its tools are at hand. */
  readonly needs?: readonly [command: string, ...args: string[]];
}

/** Run wherever the tests are. */
export const receiversAtHand: readonly ReceiverProgram[] = [
  { name: "Node's http", file: 'node-http.ts' },
  { name: 'Next', file: 'next-route.ts', isHandler: true },
  { name: 'TypeScript without the SDK', file: 'standard.ts' },
];

const goLibrary = 'github.com/standard-webhooks/standard-webhooks/libraries@v0.0.1';

/** Run by `npm run clients`, which installs what they need. */
export const otherReceivers: readonly ReceiverProgram[] = [
  { name: 'Express', file: 'express.ts', npm: ['express@5.3.0', '@types/express@5.0.4'] },
  { name: 'Fastify', file: 'fastify.ts', npm: ['fastify@5.12.8'] },
  { name: 'Hono', file: 'hono.ts', npm: ['hono@4.13.19'], isHandler: true },
  {
    name: 'Python without the SDK',
    file: 'standard.py',
    needs: ['python3', '-c', 'import ensurepip, venv'],
    prepare: [
      ['python3', '-m', 'venv', 'venv'],
      ['venv/bin/pip', 'install', '--quiet', 'standardwebhooks==1.1.0'],
    ],
    start: ['venv/bin/python', 'standard.py'],
  },
  {
    name: 'Go without the SDK',
    file: 'standard.go',
    needs: ['go', 'version'],
    prepare: [
      ['go', 'mod', 'init', 'example.com/hooks'],
      ['go', 'get', goLibrary],
      ['go', 'build', '-o', 'standard', '.'],
    ],
    start: ['./standard'],
  },
];

const root = resolve(import.meta.dirname, '../..');
const prepareTimeoutMs = 5 * 60_000;
const startTimeoutMs = 20_000;

/** Listens in place of what would call a handler. */
const server = `
import { createServer } from 'node:http';
import * as program from './handler.ts';
const handle = program.POST ?? program.default.fetch;
createServer(async (incoming, response) => {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const { method, headers } = incoming;
  const request = new Request('http://localhost' + incoming.url, { method, headers, body: Buffer.concat(chunks) });
  const answer = await handle(request);
  response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
}).listen(Number(process.env.PORT));
`;

/** A folder with a program of the page, as somebody has made it who follows the page. */
export async function installReceiver(program: ReceiverProgram): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'harbor-receiver-'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  const page = await readFile(join(root, 'docs/webhook-delivery.md'), 'utf8');
  for (const { path, text } of [...readSections(page).values()].flat()) {
    if (path === program.file || path === 'handle.ts') await writeFile(join(folder, path), text);
  }
  if (program.isHandler === true) {
    await writeFile(join(folder, 'server.js'), server.replace('handler.ts', program.file));
  }
  const run = (command: string, args: readonly string[]) =>
    runCommand(command, args, { cwd: folder, timeoutMs: prepareTimeoutMs });
  if (program.npm !== undefined) {
    const cache = await toolCache('npm');
    await run('npm', ['install', '--no-audit', '--no-fund', '--cache', cache, ...program.npm]);
  }
  for (const name of ['@harbor/sdk', '@types/node', 'standardwebhooks', 'undici-types']) {
    const link = join(folder, 'node_modules', name);
    await rm(link, { recursive: true, force: true });
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, 'node_modules', name), link);
  }
  for (const [command, ...args] of program.prepare ?? []) await run(command, args);
  return folder;
}

/** Throws with what TypeScript says of a program, for those that are in it. */
export async function checkTypes(folder: string, { file }: ReceiverProgram): Promise<void> {
  if (!file.endsWith('.ts')) return;
  const compilerOptions = {
    strict: true,
    noEmit: true,
    module: 'nodenext',
    target: 'es2024',
    lib: ['es2024'],
    types: ['node'],
    allowImportingTsExtensions: true,
    skipLibCheck: true,
  };
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: [file] }),
  );
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  await runCommand(process.execPath, [tsc, '--project', folder], {
    cwd: folder,
    timeoutMs: prepareTimeoutMs,
  });
}

/** What came of the requests that a receiver was sent, and what it has printed. */
export interface ReceiverRun {
  readonly statuses: Readonly<Record<string, number>>;
  readonly printed: string;
}

const body = JSON.stringify({
  id: 'evt_01m8acgmdve0tvv89wdt3q9548',
  type: 'invoice.paid',
  workspace_id: 'ws_018f3a2e4b9c',
  payload: { invoice_id: 'inv_1', name: 'Zoë "🦊"' },
  created_at: '2026-11-25T22:16:42.172Z',
  sequence: 7,
});

/** Sends a running program genuine requests and others. */
export async function runReceiver(folder: string, program: ReceiverProgram): Promise<ReceiverRun> {
  const secret = newWebhookSecret();
  const port = await findPort();
  const main = program.isHandler === true ? 'server.js' : program.file;
  const [command, ...args] = program.start ?? [process.execPath, main];
  const child = spawn(command, args, {
    cwd: folder,
    env: { ...process.env, PORT: `${port}`, WEBHOOK_SECRET: secret },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const printed: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => printed.push(chunk));
  try {
    await listening(child, port);
    const statuses = await sendAll(`http://127.0.0.1:${port}/hooks`, secret);
    return { statuses, printed: Buffer.concat(printed).toString() };
  } finally {
    child.kill();
  }
}

/** What every receiver of the page does with them. */
export const expectedRun: ReceiverRun = {
  statuses: {
    genuine: 204,
    'the same again': 204,
    'another body': 400,
    'another secret': 400,
    'an hour old': 400,
    unsigned: 400,
  },
  printed: 'invoice.paid inv_1\n',
};

async function sendAll(url: string, secret: string): Promise<Record<string, number>> {
  const id = 'evt_01m8acgmdve0tvv89wdt3q9548';
  const earlier = new Date(Date.now() - 3_600_000);
  const genuine = await webhooks.sign(body, secret, { id });
  const requests: [string, string, Record<string, string>][] = [
    ['genuine', body, genuine],
    ['the same again', body, genuine],
    ['another body', body.replace('inv_1', 'inv_2'), genuine],
    ['another secret', body, await webhooks.sign(body, newWebhookSecret(), { id })],
    ['an hour old', body, await webhooks.sign(body, secret, { id, timestamp: earlier })],
    ['unsigned', body, {}],
  ];
  const statuses: Record<string, number> = {};
  for (const [name, text, signed] of requests) {
    const headers = { 'content-type': 'application/json', ...signed };
    const response = await fetch(url, { method: 'POST', headers, body: text });
    await response.arrayBuffer();
    statuses[name] = response.status;
  }
  return statuses;
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  const endMs = performance.now() + startTimeoutMs;
  while (performance.now() < endMs && child.exitCode === null) {
    const isThere = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST' }).then(
      async (response) => {
        await response.arrayBuffer();
        return true;
      },
      () => false,
    );
    if (isThere) return;
    await sleep(50);
  }
  throw new Error('the receiver does not listen');
}

function findPort(): Promise<number> {
  return new Promise((done) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => done(port));
    });
  });
}
