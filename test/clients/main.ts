import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { isDeepStrictEqual, stripVTControlCharacters } from 'node:util';
import { hasCommand, runCommand } from '../toolchains/run-command.ts';
import { toolCache } from '../toolchains/tool-cache.ts';
import { type Language, languages, missingFor } from './languages.ts';
import { type Block, readSections } from './page.ts';
import {
  checkTypes,
  expectedRun,
  installReceiver,
  otherReceivers,
  type ReceiverProgram,
  receiversAtHand,
  runReceiver,
} from './receivers.ts';
import { type Served, serve } from './serve.ts';

/**
 * `npm run clients`: runs docs/generated-clients.md as it stands. The files of each section are written into
 * an empty folder beside a copy of `proto/`, its shell blocks are run there in order, against the service,
 * and each of its programs must print what the page says. Takes names of sections; all by default. A
 * section whose tools are not at hand is skipped by name. Then the receivers of docs/webhook-delivery.md, which are sent
 * genuine requests and others.
 */
const root = resolve(import.meta.dirname, '../..');
const page = join(root, 'docs/generated-clients.md');
/** The first time is the slowest: everything is downloaded and compiled. */
const blockTimeoutMs = 6 * 60_000;

async function main(): Promise<void> {
  const names = process.argv.slice(2);
  const known = [...languages, ...receivers].map(({ name }) => name);
  for (const name of names) {
    if (!known.includes(name)) throw new Error(`no section ${name}; there are ${known.join(', ')}`);
  }
  const isChosen = ({ name }: { name: string }) => names.length === 0 || names.includes(name);
  const chosen = languages.filter(isChosen);
  if (chosen.length > 0) await runLanguages(chosen);
  for (const receiver of receivers.filter(isChosen)) await runProgram(receiver);
}

async function runLanguages(chosen: readonly Language[]): Promise<void> {
  const sections = readSections(await readFile(page, 'utf8'));
  const transcript = sections.get('')?.find(({ language }) => language === 'text')?.text;
  if (transcript === undefined) throw new Error(`${page} does not say what its programs print`);
  await using service = await serve();
  for (const language of chosen) {
    const missing = await missingFor(language);
    if (missing.length > 0) {
      process.stdout.write(`skipped: clients in ${language.name} (needs ${missing.join(', ')})\n`);
      continue;
    }
    const startedAt = performance.now();
    const printed = await runSection(service, sections.get(language.name) ?? []);
    check(language, printed, transcript);
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    process.stdout.write(`clients in ${language.name} work (${seconds} s)\n`);
  }
}

const receivers = [...receiversAtHand, ...otherReceivers];

async function runProgram(program: ReceiverProgram): Promise<void> {
  const { name, needs } = program;
  if (needs !== undefined && !(await hasCommand(...needs))) {
    process.stdout.write(`skipped: the receiver for ${name} (needs ${needs[0]})\n`);
    return;
  }
  const startedAt = performance.now();
  const directory = await installReceiver(program);
  try {
    await checkTypes(directory, program);
    const run = await runReceiver(directory, program);
    if (!isDeepStrictEqual(run, expectedRun)) {
      throw new Error(`the receiver for ${name} did ${JSON.stringify(run)}`);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  process.stdout.write(`the receiver for ${name} works (${seconds} s)\n`);
}

/** Returns what each shell block has printed. */
async function runSection(service: Served, blocks: readonly Block[]): Promise<string[]> {
  const directory = await mkdtemp(join(tmpdir(), 'harbor-client-'));
  try {
    await cp(join(root, 'proto'), join(directory, 'proto'), { recursive: true });
    const printed: string[] = [];
    for (const { language, text, path } of blocks) {
      if (path !== undefined) {
        await mkdir(dirname(join(directory, path)), { recursive: true });
        await writeFile(join(directory, path), text);
      } else if (language === 'sh') {
        // Maven resets colours that it has not set.
        printed.push(stripVTControlCharacters(await runBlock(service, directory, text)));
      }
    }
    return printed;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Each block finds a workspace without events, and tools where nothing else is put. */
async function runBlock(service: Served, cwd: string, script: string): Promise<string> {
  const binaries = join(cwd, 'bin');
  const cargo = await toolCache('cargo');
  return runCommand('bash', ['-euo', 'pipefail', '-c', script], {
    cwd,
    env: {
      HARBOR_BASE_URL: service.baseUrl,
      HARBOR_SECRET_KEY: service.secretKey,
      HARBOR_WORKSPACE_ID: await service.newWorkspace(),
      GOBIN: binaries,
      // Crates that do not change are compiled once.
      CARGO_TARGET_DIR: cargo,
      PATH: [binaries, join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter),
    },
    timeoutMs: blockTimeoutMs,
  });
}

function check({ name, programs, prints = [] }: Language, printed: string[], transcript: string) {
  const right = printed.filter((text) => text === transcript);
  const missing = prints.filter((pattern) => !printed.some((text) => pattern.test(text)));
  if (right.length === programs && missing.length === 0) return;
  const expected = [`${programs} times the transcript of the page`, ...missing].join(', ');
  throw new Error(`clients in ${name} printed\n${printed.join('')}instead of ${expected}`);
}

try {
  await main();
} catch (error) {
  process.stdout.write(`clients failed: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
