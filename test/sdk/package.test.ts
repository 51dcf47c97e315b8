import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startTestService } from '../support/test-service.ts';
import { startScriptedServer } from './scripted-server.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const secretKey = 'hbr_sk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK';

/** What the package may ask for, and the types of Node for TypeScript. */
const linked = [
  '@bufbuild/protobuf',
  '@connectrpc/connect',
  '@connectrpc/connect-web',
  '@types/node',
  'undici-types',
];

describe('the packed package', () => {
  let folder: string;
  let snippets: string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'harbor-sdk-'));
    await install(folder);
    snippets = await readSnippets();
  }, 120_000);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('holds compiled code, types, README and licence, and no sources', async () => {
    const installed = join(folder, 'node_modules/@harbor/sdk');
    expect((await readdir(installed)).sort()).toEqual([
      'LICENSE',
      'README.md',
      'dist',
      'package.json',
    ]);
    const licence = await readFile(join(installed, 'LICENSE'), 'utf8');
    expect(licence).toBe(await readFile(join(root, 'LICENSE'), 'utf8'));
    const files = await readdir(join(installed, 'dist'), { recursive: true, withFileTypes: true });
    const names = files.filter((file) => file.isFile()).map((file) => file.name);
    expect(names.filter((name) => !/(\.js|\.d\.ts)$/.test(name))).toEqual([]);
  });

  test('runs the first snippet of the README as printed, in plain JavaScript', async () => {
    const server = await startScriptedServer();
    await writeFile(join(folder, 'main.js'), snippets[0] ?? '');
    const { stdout } = await runNode(folder, 'main.js', server);
    expect(stdout).toBe('evt_00000000000000000000000001\n');
    expect(server.creates[0]?.payload).toEqual({
      invoice_id: 'inv_0192ac4e8b1d',
      amount_cents: 4200,
    });
  });

  test('runs the snippets of its page as printed, in the form that each has', async () => {
    const server = await startScriptedServer();
    const [javascript = ''] = await readSnippets('docs/using-the-sdk.md', 'js');
    const [typescript = ''] = await readSnippets('docs/using-the-sdk.md', 'ts');
    await writeFile(join(folder, 'page.js'), javascript);
    await writeFile(join(folder, 'page.ts'), typescript);
    const first = await runNode(folder, 'page.js', server);
    expect(first.stdout).toBe('evt_00000000000000000000000001 1\n');
    expect((await runNode(folder, 'page.ts', server)).stdout).toBe('4200\n');
  });

  test('runs the snippets that administer as printed, with a service', async () => {
    const service = await startTestService();
    onTestFinished(() => service.stop());
    const [, administration = ''] = await readSnippets('docs/using-the-sdk.md', 'ts');
    const [setUp = ''] = administration.split('\n\nconst workspace');
    const reference = snippets.find((text) => text.includes('harbor.apiKeys')) ?? '';
    await writeFile(join(folder, 'admin.ts'), administration);
    await writeFile(join(folder, 'reference.ts'), [setUp, reference].join('\n'));
    const made = await runNode(folder, 'admin.ts', service);
    expect(made.stdout).toMatch(/^ws_\w+ key_\w+ hbr_rk_\w+\n$/);
    const { stdout } = await runNode(folder, 'reference.ts', service);
    expect(stdout.split('\n').slice(0, 4)).toEqual([
      " [ 'all' ] undefined",
      expect.stringMatching(/^key_\w+ hbr_rk_\w+$/),
      expect.stringMatching(/^hbr_rk_\w+$/),
      expect.stringMatching(/^ws_\w+ 0 /),
    ]);
  });

  test('adds at most 63,000 bytes to a bundle, minified and with gzip', async () => {
    const entry = `import { Harbor } from '@harbor/sdk'; globalThis.harbor = new Harbor({});`;
    const code = await bundleForBrowser(folder, entry, { minify: true });
    expect(gzipSync(code).length).toBeLessThan(63_000);
  });

  test('has webhooks that add at most 5,000 bytes of their own, and run where there is no process', async () => {
    const program = `import { webhooks } from '@harbor/sdk';
       delete globalThis.process;
       const secret = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
       const body = '{"id":"evt_1","type":"a","workspace_id":"ws_1","payload":{"invoice_id":"inv_1"},' +
         '"created_at":"2026-11-25T22:16:42.172Z","sequence":1}';
       const event = await webhooks.unwrap(body, await webhooks.sign(body, secret), secret);
       console.log(event.payload.invoiceId);`;
    const code = await bundleForBrowser(folder, program, { minify: true });
    expect(gzipSync(code).length).toBeLessThan(5_000);
    await writeFile(join(folder, 'webhooks.js'), code);
    expect((await runNode(folder, 'webhooks.js', { baseUrl: '' })).stdout).toBe('inv_1\n');
  });

  test('bundles for the browser without modules of Node, and runs where there is no process', async () => {
    const server = await startScriptedServer();
    const code = await bundleForBrowser(
      folder,
      `import { Harbor } from '@harbor/sdk';
       new Headers(); // Node loads its fetch at first use, and needs its process for that.
       delete globalThis.process;
       const harbor = new Harbor({ secretKey: '${secretKey}', baseUrl: '${server.baseUrl}' });
       const payload = { invoiceId: 'inv_1' };
       const event = await harbor.events.create({ workspaceId: 'ws_1', type: 'a', payload });
       console.log(event.payload.invoiceId);`,
    );
    await writeFile(join(folder, 'bundle.js'), code);
    const { stdout } = await runNode(folder, 'bundle.js', server);
    expect(stdout).toBe('inv_1\n');
  });

  test.each([
    ['Node', ['es2024'], ['node'], ''],
    [
      'a browser',
      ['es2024', 'dom'],
      [],
      'declare const process: { env: Record<string, string | undefined> };',
    ],
  ])(
    'has types that a strict TypeScript project for %s accepts, with every snippet',
    async (_, lib, types, prelude) => {
      const program = [prelude, snippets[0], ...snippets.slice(1).map(inBlock)];
      await writeFile(join(folder, 'main.ts'), `${program.join('\n')}\n${typedSnippet}`);
      await writeFile(
        join(folder, 'tsconfig.json'),
        JSON.stringify({
          compilerOptions: {
            ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
            ...{
              module: 'nodenext',
              target: 'es2024',
              noEmit: true,
              skipLibCheck: false,
              lib,
              types,
            },
          },
          files: ['main.ts'],
        }),
      );
      const tsc = join(root, 'node_modules/typescript/bin/tsc');
      const checking = run(process.execPath, [tsc, '--project', folder], { cwd: folder });
      expect(
        await checking.then(
          () => '',
          (error: { stdout: string }) => error.stdout,
        ),
      ).toBe('');
    },
    60_000,
  );
});

/** What the types promise beyond the snippets: a named payload is checked, any object is taken. */
const typedSnippet = `
import { HarborError, IdempotencyKeyReusedError, type CreatedEvent, type Event } from '@harbor/sdk';
import type { ApiKey, ItemList, RateLimits, Workspace } from '@harbor/sdk';
import type { BatchResult, EventPage, EventSubscription } from '@harbor/sdk';

interface InvoicePaid { invoiceId: string; paidAt?: string }
const payload: InvoicePaid = { invoiceId: 'inv_1' };
const target = { workspaceId: 'ws_1', type: 'invoice.paid' };

const untyped: CreatedEvent = await harbor.events.create({ ...target, payload });
const dated = await harbor.events.create({ ...target, payload: { at: new Date(), note: undefined } });
const typed: Event<InvoicePaid> = await harbor.events.create<InvoicePaid>({ ...target, payload });
export const invoiceId: string = (await harbor.events.retrieve<InvoicePaid>(typed.id)).payload.invoiceId;
export const sent: string | undefined = dated.idempotencyKeyExpiresAt?.toISOString();
export const maybe: boolean = untyped.payload['invoiceId'] === 'inv_1';

// @ts-expect-error: amountCents is not a member of InvoicePaid.
await harbor.events.create<InvoicePaid>({ ...target, payload: { amountCents: 1 } });
// @ts-expect-error: a payload is an object.
await harbor.events.create({ ...target, payload: 'text' });

const results: BatchResult[] = await harbor.events.createBatch([{ ...target, payload }]);
for (const result of results) {
  if (result.ok) console.log(result.event.sequence, result.event.replayed);
  else console.log(result.error.code, result.error.idempotencyKey);
}
export const batched: CreatedEvent<InvoicePaid>[] = (
  await harbor.events.createBatch<InvoicePaid>([{ ...target, payload, idempotencyKey: 'inv_1' }])
).flatMap((result) => result.event ?? []);
// @ts-expect-error: amountCents is not a member of InvoicePaid.
await harbor.events.createBatch<InvoicePaid>([{ ...target, payload: { amountCents: 1 } }]);
// @ts-expect-error: whether there is an event is not known before ok is.
export const sequence: number = results[0]!.event.sequence;

const query = { workspaceId: 'ws_1', types: ['invoice.*'] } as const;
let page: EventPage<InvoicePaid> | undefined = await harbor.events.list<InvoicePaid>(query);
while (page !== undefined) page = await page.nextPage();
export const listing: Promise<EventPage> = harbor.events.list({ ...query, order: 'desc' });
for await (const event of harbor.events.list<InvoicePaid>(query, { timeoutMs: 1000 })) {
  console.log(event.payload.invoiceId);
}
// @ts-expect-error: an order is 'asc' or 'desc'.
harbor.events.list({ ...query, order: 'newest' });

const subscription: EventSubscription<InvoicePaid> = harbor.events.subscribe<InvoicePaid>(query, {
  signal: AbortSignal.timeout(1000),
  onLive: (after) => console.log(after + 1),
  onReconnect: ({ error, failures, delayMs }) => console.log(error.reason, failures, delayMs),
});
for await (const event of subscription) console.log(event.payload.invoiceId, subscription.live);
export const cursor: number | undefined = subscription.lastSequence;

const apiKeys: ItemList<ApiKey> = harbor.apiKeys.list();
for await (const { kind, scopes, rateLimits } of apiKeys) {
  const same: RateLimits = { ...rateLimits, streams: 5 };
  await harbor.apiKeys.create({ kind, scopes, rateLimits: same });
}
const tenant: Workspace = await harbor.workspaces.update('ws_1', { rateLimits: { streams: null } });
export const limit: number | undefined = tenant.rateLimits?.streams;
// @ts-expect-error: a kind is 'secret' or 'restricted'.
await harbor.apiKeys.create({ kind: 'admin' });
// @ts-expect-error: a limit is not named so.
await harbor.workspaces.create({ rateLimits: { creates_per_second: 1 } });

const request = new Request('https://example.com', { method: 'POST' });
const received: Event<InvoicePaid> = await webhooks.unwrap<InvoicePaid>(await request.arrayBuffer(), request.headers, ['whsec_a']);
export const unnamed: Event = await harbor.webhooks.unwrap('', { 'webhook-id': ['a'] }, 'whsec_a', { toleranceSeconds: 1 });
await webhooks.verify(new Uint8Array(1), await webhooks.sign('', 'whsec_a', { id: received.id }), 'whsec_a');
// @ts-expect-error: a body that was parsed is none.
await webhooks.verify({ id: 'evt_1' }, {}, 'whsec_a');

try {
  await harbor.events.retrieve('evt_1', { signal: AbortSignal.timeout(1000), maxRetries: 0 });
} catch (error) {
  if (error instanceof IdempotencyKeyReusedError) console.log(error.eventId, error.expiresAt);
  if (error instanceof WebhookVerificationError) console.log(error.check === 'signature');
  if (error instanceof HarborError) console.log(error.code === 'not_found', error.requestId);
}
`;

/** A snippet among others: what it imports stands outside of its block. */
function inBlock(text: string): string {
  const imports = text.match(/^import .*$/gm) ?? [];
  return [...imports, '{', text.replace(/^import .*$/gm, ''), '}'].join('\n');
}

/** Packs the SDK and unpacks it as npm would install it, with its dependencies linked. */
async function install(folder: string): Promise<void> {
  const pack = ['pack', '--ignore-scripts', '--workspace', 'sdk', '--pack-destination', folder];
  await run('npm', pack, { cwd: root });
  const [tarball] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
  const target = join(folder, 'node_modules/@harbor/sdk');
  await mkdir(target, { recursive: true });
  await run('tar', ['-xzf', join(folder, tarball ?? ''), '-C', target, '--strip-components=1']);
  for (const name of linked) {
    const link = join(folder, 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, 'node_modules', name), link);
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
}

async function readSnippets(page = 'sdk/README.md', language = 'ts'): Promise<string[]> {
  const text = await readFile(join(root, page), 'utf8');
  const blocks = text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'));
  return [...blocks].map((match) => match[1] ?? '');
}

function runNode(
  folder: string,
  file: string,
  service: { readonly baseUrl: string; readonly secretKey?: string },
) {
  return run(process.execPath, [file], {
    cwd: folder,
    env: {
      HARBOR_SECRET_KEY: service.secretKey ?? secretKey,
      HARBOR_BASE_URL: service.baseUrl,
    },
  });
}

async function bundleForBrowser(
  folder: string,
  entry: string,
  { minify = false } = {},
): Promise<string> {
  const input = join(folder, 'browser.js');
  await writeFile(input, entry);
  const bundle = await rolldown({ input, platform: 'browser', logLevel: 'silent' });
  const { output } = await bundle.generate({ format: 'es', minify });
  await bundle.close();
  const [chunk] = output;
  expect(
    chunk.imports.filter((name) => name.startsWith('node:') || builtinModules.includes(name)),
  ).toEqual([]);
  expect(chunk.imports).toEqual([]);
  return chunk.code;
}
