import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../src/config.ts';
import { startTestService, type TestService } from './support/test-service.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '..');
const workspaceId = 'ws_018f3a2e4b9c';

let service: TestService;
/** Looks like a checkout in which the quick start runs. */
let folder: string;
beforeAll(async () => {
  const encryptionKeys = [randomBytes(32)];
  service = await startTestService({ webhooks: { ...readConfig({}).webhooks, encryptionKeys } });
  await service.app.workspaces.create(workspaceId, '');
  folder = await mkdtemp(join(tmpdir(), 'harbor-docs-'));
  await mkdir(join(folder, '.harbor'));
  const env = [
    `HARBOR_BASE_URL=${service.baseUrl}`,
    `HARBOR_SECRET_KEY=${await service.issueKey({ kind: 'secret', scopes: ['all'] })}`,
    `HARBOR_WORKSPACE_ID=${workspaceId}`,
  ];
  await writeFile(join(folder, '.harbor/dev.env'), `${env.join('\n')}\n`);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await service.stop();
});

/** The blocks of a page for a shell that set something or call by curl, and end by themselves. */
async function readCalls(page: string): Promise<string[]> {
  const text = await readFile(join(root, page), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '');
  return blocks
    .flatMap((block) => block.split(/\n\n(?=curl|np[mx])/))
    .filter((part) => /^(set -a;|curl |\w+=\$\(curl )/.test(part) && !/curl -sN/.test(part));
}

/** What is printed when a reader pastes the blocks into one shell, one after the other. */
async function paste(blocks: readonly string[]): Promise<string[]> {
  const mark = '<end of block>';
  const script = ['set -e', ...blocks.map((block) => `${block}\necho '${mark}'`)].join('\n');
  const { stdout } = await run('bash', ['-c', script], { cwd: folder });
  return stdout.split(`${mark}\n`).slice(0, -1);
}

test.each([
  ['README.md', 2],
  ['docs/event-lifecycle.md', 3],
  ['docs/listing-and-streaming.md', 2],
  ['docs/managing-api-keys.md', 4],
  ['docs/managing-workspaces.md', 2],
  // Last: its endpoint is sent nothing, since no event follows.
  ['docs/webhook-delivery.md', 4],
])('the calls by curl in %s work when they are pasted in their order', async (page, calls) => {
  const printed = await paste(await readCalls(page));
  const answers = printed.filter((text) => text !== '');
  expect(answers.length).toBeGreaterThanOrEqual(calls);
  for (const answer of answers) {
    const body = answer.slice(answer.indexOf('{'));
    expect(JSON.parse(body)).not.toHaveProperty('code');
  }
});
