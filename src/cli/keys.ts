import { Command, Option } from 'commander';
import {
  allScopes,
  createApiKeyStore,
  type IssueOptions,
  issueApiKey,
  scopes,
} from '../api-keys/index.ts';
import { createWorkspaceStore } from '../workspaces/index.ts';
import { parseDuration, parseFutureTime, parseName, parseTypePattern } from './arguments.ts';
import { keyRows } from './key-rows.ts';
import {
  addRateLimitOptions,
  type RateLimitOptions,
  readRateLimits,
} from './rate-limit-options.ts';
import { printPages, readPages } from './rows.ts';
import { withDatabase } from './with-database.ts';
import { parseWorkspaceId } from './workspaces.ts';

interface CreateOptions extends RateLimitOptions {
  readonly kind?: 'secret' | 'restricted';
  readonly name: string;
  readonly scope?: string[];
  readonly workspace?: string[];
  readonly typePattern?: string[];
  readonly expires?: Date;
}

interface UpdateOptions extends RateLimitOptions {
  readonly name?: string;
  readonly expires?: Date;
}

const overlapDaysMax = 7;

export function keysCommand(): Command {
  const keys = new Command('keys').description('create, list, change, rotate and revoke API keys');
  const create = keys
    .command('create')
    .description('create an API key; prints its secret, this once, and nothing else, on stdout')
    .addOption(
      new Option(
        '--kind <kind>',
        'secret: reads and writes everything, or with the scope all may do everything; restricted: only what is ' +
          'listed (default: secret, but restricted when anything else than the scope all is listed)',
      ).choices(['secret', 'restricted']),
    )
    .option('--name <text>', 'what people call it', parseName, '')
    .addOption(
      new Option(
        '--scope <scopes...>',
        'the scopes of a restricted key; all: every one, also those to come',
      ).choices([...scopes]),
    )
    .option('--workspace <ids...>', 'the workspaces it is restricted to', collect(parseWorkspaceId))
    .option(
      '--type, --type-pattern <patterns...>',
      'the event types it is restricted to, such as "invoice.*"',
      collect(parseTypePattern),
    )
    .option('--expires <time>', 'when it stops working, such as 2027-01-01', parseFutureTime)
    .action(createKey);
  addRateLimitOptions(create);
  keys
    .command('list')
    .description('list API keys, the newest first, without their secrets')
    .action(listKeys);
  const update = keys
    .command('update')
    .description('rename an API key, change its rate limits, or let it expire earlier than before')
    .argument('<id>', 'the id of the key, key_…')
    .option('--name <text>', 'what people call it', parseName)
    .option('--expires <time>', 'when it stops working, such as 2027-01-01', parseFutureTime)
    .action(updateKey);
  addRateLimitOptions(update);
  keys
    .command('rotate')
    .description('give an API key a new secret; prints it, this once, and nothing else, on stdout')
    .argument('<id>', 'the id of the key, key_…')
    .option(
      '--overlap <time>',
      'how long its old secret works on, such as 24h, at most 7d (default: not at all)',
      parseDuration(overlapDaysMax),
    )
    .action(rotateKey);
  keys
    .command('revoke')
    .description('revoke an API key; effective everywhere within 5 seconds')
    .argument('<id>', 'the id of the key, key_…')
    .action(revokeKey);
  return keys;
}

async function createKey(options: CreateOptions): Promise<void> {
  const { scope = [], workspace = [], typePattern: typePatterns = [] } = options;
  const wish = {
    kind: options.kind ?? kindOf([...scope, ...workspace, ...typePatterns]),
    displayName: options.name,
    scopes: scope,
    workspaceIds: workspace,
    typePatterns,
    expiresAt: options.expires,
    rateLimits: readRateLimits(options),
  };
  const { apiKey, secret } = await withDatabase((database) => {
    const { assertAllExist } = createWorkspaceStore(database);
    const check: IssueOptions['check'] = (tx) => assertAllExist(tx, workspace);
    return issueApiKey(createApiKeyStore(database), wish, { check });
  });
  process.stderr.write(`created ${apiKey.id}; the secret is shown only now:\n`);
  process.stdout.write(`${secret}\n`);
}

/** Without a word about it: whatever is listed is a restriction, but for `all`. */
function kindOf(listed: readonly string[]): 'secret' | 'restricted' {
  return listed.every((one) => one === allScopes) ? 'secret' : 'restricted';
}

async function listKeys(): Promise<void> {
  await withDatabase((database) => {
    const store = createApiKeyStore(database);
    return printPages(
      readPages((afterId, limit) => store.list({ afterId, limit })),
      keyRows,
    );
  });
}

async function updateKey(id: string, options: UpdateOptions): Promise<void> {
  const { name: displayName, expires: expiresAt } = options;
  const rateLimits = readRateLimits(options);
  if (displayName === undefined && expiresAt === undefined && rateLimits === undefined) {
    throw new Error('nothing to change: pass --name, --expires, or a limit such as --streams');
  }
  await withDatabase((database) =>
    createApiKeyStore(database).update(id, { displayName, expiresAt, rateLimits }),
  );
  process.stdout.write(`updated ${id}\n`);
}

async function rotateKey(id: string, { overlap = 0 }: { overlap?: number }): Promise<void> {
  const { apiKey, secret } = await withDatabase((database) =>
    createApiKeyStore(database).rotate(id, overlap),
  );
  const end = apiKey.oldSecretsExpireAt?.toISOString();
  const old = end === undefined ? 'ends within 5 seconds' : `works until ${end} at the latest`;
  process.stderr.write(
    `rotated ${id}; what was its secret ${old}; the new one is shown only now:\n`,
  );
  process.stdout.write(`${secret}\n`);
}

async function revokeKey(id: string): Promise<void> {
  await withDatabase((database) => createApiKeyStore(database).revoke(id));
  process.stdout.write(`revoked ${id}\n`);
}

function collect(parse: (text: string) => string) {
  return (text: string, earlier: string[] = []) => [...earlier, parse(text)];
}
