import { Command, InvalidArgumentError, Option } from 'commander';
import {
  ApiKeyNotFound,
  allScopes,
  createApiKeyStore,
  issueApiKey,
  scopes,
} from '../api-keys/index.ts';
import { isTime } from '../calendar-time.ts';
import { newestTime } from '../timestamp.ts';
import { createWorkspaceStore } from '../workspaces/index.ts';
import { keyRows } from './key-rows.ts';
import { printPages, readPages } from './rows.ts';
import { withDatabase } from './with-database.ts';
import { parseWorkspaceId } from './workspaces.ts';

interface CreateOptions {
  readonly kind?: 'secret' | 'restricted';
  readonly name: string;
  readonly scope?: string[];
  readonly workspace?: string[];
  readonly type?: string[];
  readonly expires?: Date;
}

export function keysCommand(): Command {
  const keys = new Command('keys').description('create, list and revoke API keys');
  keys
    .command('create')
    .description('create an API key; prints its secret, this once, and nothing else, on stdout')
    .addOption(
      new Option(
        '--kind <kind>',
        'secret: reads and writes everything, or with the scope all may do everything; restricted: only what is ' +
          'listed (default: secret, but restricted when anything else than the scope all is listed)',
      ).choices(['secret', 'restricted']),
    )
    .option('--name <text>', 'what people call it', '')
    .addOption(
      new Option(
        '--scope <scopes...>',
        'the scopes of a restricted key; all: every one, also those to come',
      ).choices([...scopes]),
    )
    .option('--workspace <ids...>', 'the workspaces it is restricted to', collect(parseWorkspaceId))
    .option(
      '--type <patterns...>',
      'the event types it is restricted to, such as "invoice.*"',
      collect(parseTypePattern),
    )
    .option('--expires <time>', 'when it stops working, such as 2027-01-01', parseFutureTime)
    .action(createKey);
  keys
    .command('list')
    .description('list API keys, the newest first, without their secrets')
    .action(listKeys);
  keys
    .command('revoke')
    .description('revoke an API key; effective everywhere within 5 seconds')
    .argument('<id>', 'the id of the key, key_…')
    .action(revokeKey);
  return keys;
}

async function createKey(options: CreateOptions): Promise<void> {
  const { scope = [], workspace = [], type = [] } = options;
  const { apiKey, secret } = await withDatabase(async ({ orm, statements }) => {
    const workspaces = createWorkspaceStore({ orm, statements });
    for (const id of workspace) await workspaces.assertExists(id);
    return issueApiKey(createApiKeyStore(orm, statements), {
      kind: options.kind ?? kindOf([...scope, ...workspace, ...type]),
      displayName: options.name,
      scopes: scope,
      workspaceIds: workspace,
      typePatterns: type,
      expiresAt: options.expires,
    });
  });
  process.stderr.write(`created ${apiKey.id}; the secret is shown only now:\n`);
  process.stdout.write(`${secret}\n`);
}

/** Without a word about it: whatever is listed is a restriction, but for `all`. */
function kindOf(listed: readonly string[]): 'secret' | 'restricted' {
  return listed.every((one) => one === allScopes) ? 'secret' : 'restricted';
}

async function listKeys(): Promise<void> {
  await withDatabase(({ orm, statements }) => {
    const store = createApiKeyStore(orm, statements);
    return printPages(
      readPages((afterId, limit) => store.list({ afterId, limit })),
      keyRows,
    );
  });
}

async function revokeKey(id: string): Promise<void> {
  await withDatabase(async ({ orm, statements }) => {
    const store = createApiKeyStore(orm, statements);
    if ((await store.find(id)) === undefined) throw new ApiKeyNotFound(id);
    await store.revoke(id);
  });
  process.stdout.write(`revoked ${id}\n`);
}

function collect(parse: (text: string) => string) {
  return (text: string, earlier: string[] = []) => [...earlier, parse(text)];
}

function parseTypePattern(text: string): string {
  if (/^[^\p{Cc}\p{Cs}*]*\*?$/u.test(text) && text.length > 0 && text.length <= 255) return text;
  throw new InvalidArgumentError('It must be a type, or the beginning of one and a single "*".');
}

function parseFutureTime(text: string): Date {
  const time = new Date(text);
  // A day alone is its midnight in UTC.
  const isKnown = isTime(text.includes('T') ? text : `${text}T00:00:00Z`);
  if (isKnown && time.getTime() > Date.now() && time <= newestTime) return time;
  throw new InvalidArgumentError(
    'It must be a time to come, up to the year 9999, such as 2027-01-01T00:00:00Z.',
  );
}
