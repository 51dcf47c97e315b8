import { Command, InvalidArgumentError, Option } from 'commander';
import type {
  CreatedWebhookEndpoint,
  WebhookEndpointChanges,
  WebhookOrdering,
} from '../../sdk/src/index.ts';
import {
  collectPair,
  parseCountWithin,
  parseDuration,
  parseId,
  parseName,
  parseTime,
} from './arguments.ts';
import { parseCount, workspaceOption } from './events.ts';
import { openHarbor, openWorkspace } from './with-harbor.ts';

interface SettingOptions {
  readonly description?: string;
  readonly typePattern?: string[];
  readonly subject?: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly ordering?: WebhookOrdering;
  readonly maxInFlight?: number;
  readonly maxPerSecond?: number;
  readonly timeout?: number;
}

interface CreateOptions extends SettingOptions {
  readonly workspace?: string;
  readonly after?: number;
  readonly since?: Date;
  readonly catchUpMaxPerSecond?: number;
  readonly requestId?: string;
}

interface UpdateOptions extends SettingOptions {
  readonly url?: string;
  readonly headers?: false;
}

/** What can be said of an endpoint when it is created, and changed later. */
function withSettings(command: Command, header: string): Command {
  return command
    .option('--description <text>', 'what people call it', parseName)
    .option('--type, --type-pattern <patterns...>', 'only these types, such as "invoice.*"')
    .option('--subject <subject>', 'only events about this; "" for any')
    .option('--header <name=value>', header, collectPair)
    .addOption(
      new Option(
        '--ordering <ordering>',
        'what of the order of the log is kept (default: none)',
      ).choices(['none', 'workspace', 'subject']),
    )
    .option('--max-in-flight <count>', 'requests at once (default: 10)', parseCountWithin(1, 1_000))
    .option(
      '--max-per-second <count>',
      'requests a second, 0 for no limit (default: no limit)',
      parseCountWithin(0, 10_000),
    )
    .option(
      '--timeout <time>',
      'how long an answer is waited for, 1s–30s (default: 15s)',
      parseTimeout,
    );
}

export function createCommand(): Command {
  const command = new Command('create')
    .description('have the events of a workspace sent to a URL, signed; prints the secret')
    .argument('<url>', 'where to, such as https://example.com/hooks')
    .addOption(workspaceOption());
  return withSettings(command, 'send this header besides; may be repeated')
    .option(
      '--after <sequence>',
      'begin after this sequence, 0 with the first; from now when left out',
      parseCount,
    )
    .addOption(
      new Option('--since <time>', 'begin with what was created after this time')
        .argParser(parseTime)
        .conflicts('after'),
    )
    .option(
      '--catch-up-max-per-second <count>',
      'requests a second while it catches up with the past',
      parseCountWithin(1, 10_000),
    )
    .option('--request-id <id>', 'makes one endpoint, however often it is repeated within 24 hours')
    .action(createEndpoint);
}

async function createEndpoint(url: string, options: CreateOptions): Promise<void> {
  const { harbor, workspaceId } = await openWorkspace(options.workspace);
  const { subject, maxPerSecond, catchUpMaxPerSecond, requestId } = options;
  const endpoint = await harbor.webhookEndpoints.create(
    {
      ...toSettings(options),
      workspaceId,
      url,
      subject: subject || undefined,
      maxPerSecond: maxPerSecond || undefined,
      startAfterSequence: options.after,
      startAfterTime: options.since,
      catchUpMaxPerSecond,
    },
    requestId === undefined ? {} : { requestId },
  );
  printCreated(endpoint);
}

/** As `keys create` does: the secret, and nothing else, on standard output. */
function printCreated({ id, secret, replayed }: CreatedWebhookEndpoint): void {
  if (secret === undefined) {
    const why = replayed ? 'was created before by this request id' : 'was created';
    process.stderr.write(`${id} ${why}; its secret is shown by "webhooks secret ${id}"\n`);
    return;
  }
  process.stderr.write(`created ${id}; its requests are signed by this secret:\n`);
  process.stdout.write(`${secret}\n`);
}

export function updateCommand(): Command {
  const command = new Command('update')
    .description('change an endpoint; what is not named stays')
    .argument('<id>', 'the id of the endpoint, whe_…', parseId('whe'))
    .option('--url <url>', 'where to, such as https://example.com/hooks', parseUrl);
  return withSettings(
    command,
    'send this header besides, in the place of all there were; may be repeated',
  )
    .addOption(new Option('--no-headers', 'send no headers besides').conflicts('header'))
    .action(updateEndpoint);
}

async function updateEndpoint(id: string, options: UpdateOptions): Promise<void> {
  const changes = toChanges(options);
  if (Object.values(changes).every((change) => change === undefined)) {
    throw new Error('nothing to change: pass --url, --type, --max-in-flight or another option');
  }
  await (await openHarbor()).webhookEndpoints.update(id, changes);
  process.stdout.write(`updated ${id}\n`);
}

/** What is empty takes away; Commander has `headers` true unless they are to go. */
function toChanges({ url, headers, subject, maxPerSecond, ...options }: UpdateOptions) {
  const changes: WebhookEndpointChanges = {
    ...toSettings(options),
    ...(headers === false && { headers: {} }),
    ...(url !== undefined && { url }),
    subject: subject === '' ? null : subject,
    maxPerSecond: maxPerSecond === 0 ? null : maxPerSecond,
  };
  return changes;
}

function toSettings({ description, typePattern, header, ordering, ...options }: SettingOptions) {
  const { maxInFlight, timeout } = options;
  return {
    description,
    typePatterns: typePattern,
    headers: header,
    ordering,
    maxInFlight,
    timeoutMs: timeout,
  };
}

/** In milliseconds. */
function parseTimeout(text: string): number {
  const ms = parseDuration(1)(text);
  if (ms >= 1_000 && ms <= 30_000) return ms;
  throw new InvalidArgumentError('It must be from 1s to 30s.');
}

function parseUrl(text: string): string {
  if (URL.canParse(text)) return text;
  throw new InvalidArgumentError('It must be a URL, such as https://example.com/hooks.');
}
