import { Command, Option } from 'commander';
import type { CreatedWebhookEndpoint, WebhookOrdering } from '../../sdk/src/index.ts';
import { collectPair, parseDuration, parseId, parseName, parseTime } from './arguments.ts';
import { parseCount, workspaceOption } from './events.ts';
import { printPages } from './rows.ts';
import { endpointRows, readItems } from './webhook-rows.ts';
import { openHarbor, openWorkspace } from './with-harbor.ts';

interface CreateOptions {
  readonly workspace?: string;
  readonly description?: string;
  readonly typePattern?: string[];
  readonly subject?: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly ordering?: WebhookOrdering;
  readonly maxInFlight?: number;
  readonly maxPerSecond?: number;
  readonly timeout?: number;
  readonly after?: number;
  readonly since?: Date;
  readonly catchUpMaxPerSecond?: number;
  readonly requestId?: string;
}

export function createCommand(): Command {
  return new Command('create')
    .description('have the events of a workspace sent to a URL, signed; prints the secret')
    .argument('<url>', 'where to, such as https://example.com/hooks')
    .addOption(workspaceOption())
    .option('--description <text>', 'what people call it', parseName)
    .option('--type, --type-pattern <patterns...>', 'only these types, such as "invoice.*"')
    .option('--subject <subject>', 'only events about this')
    .option('--header <name=value>', 'send this header besides; may be repeated', collectPair)
    .addOption(
      new Option(
        '--ordering <ordering>',
        'what of the order of the log is kept (default: none)',
      ).choices(['none', 'workspace', 'subject']),
    )
    .option('--max-in-flight <count>', 'requests at once (default: 10)', parseCount)
    .option('--max-per-second <count>', 'requests a second (default: no limit)', parseCount)
    .option(
      '--timeout <time>',
      'how long an answer is waited for, 1s–30s (default: 15s)',
      parseDuration(1),
    )
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
      parseCount,
    )
    .option('--request-id <id>', 'makes one endpoint, however often it is repeated within 24 hours')
    .action(createEndpoint);
}

async function createEndpoint(url: string, options: CreateOptions): Promise<void> {
  const { harbor, workspaceId } = await openWorkspace(options.workspace);
  const { maxInFlight, maxPerSecond, catchUpMaxPerSecond, requestId } = options;
  const endpoint = await harbor.webhookEndpoints.create(
    {
      workspaceId,
      url,
      description: options.description,
      typePatterns: options.typePattern,
      subject: options.subject,
      headers: options.header,
      ordering: options.ordering,
      maxInFlight,
      maxPerSecond,
      timeoutMs: options.timeout,
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

export function listCommand(): Command {
  return new Command('list')
    .description('list the endpoints of a workspace, the newest first, and how they fare')
    .addOption(workspaceOption())
    .action(async ({ workspace }: { workspace?: string }) => {
      const { harbor, workspaceId } = await openWorkspace(workspace);
      const list = harbor.webhookEndpoints.list({ workspaceId, pageSize: 500 });
      await printPages(readItems(list), endpointRows);
    });
}

export function secretCommand(): Command {
  return new Command('secret')
    .description('print the secrets by which requests to an endpoint are signed, the newest first')
    .argument('<id>', 'the id of the endpoint, whe_…', parseId('whe'))
    .action(async (id: string) => {
      const secrets = await (await openHarbor()).webhookEndpoints.revealSecret(id);
      process.stdout.write(secrets.map(({ secret }) => `${secret}\n`).join(''));
    });
}

export function pauseCommand(): Command {
  return new Command('pause')
    .description('send an endpoint, or a replay, no more until it is resumed')
    .argument(
      '<id>',
      'the id of the endpoint, whe_…, or of the replay, rpl_…',
      parseId('whe', 'rpl'),
    )
    .action(async (id: string) => {
      const { replays, webhookEndpoints } = await openHarbor();
      await (id.startsWith('rpl_') ? replays.pause(id) : webhookEndpoints.pause(id));
      process.stdout.write(`paused ${id}\n`);
    });
}

export function resumeCommand(): Command {
  return new Command('resume')
    .description('go on where a paused or disabled endpoint, or a paused replay, stood')
    .argument(
      '<id>',
      'the id of the endpoint, whe_…, or of the replay, rpl_…',
      parseId('whe', 'rpl'),
    )
    .option('--from-now', 'leave out what an endpoint has not been sent until now')
    .action(async (id: string, { fromNow = false }: { fromNow?: boolean }) => {
      const { replays, webhookEndpoints } = await openHarbor();
      if (!id.startsWith('rpl_')) await webhookEndpoints.resume(id, { fromNow });
      else if (fromNow) throw new Error('--from-now is for endpoints: a replay is cancelled');
      else await replays.resume(id);
      process.stdout.write(`resumed ${id}\n`);
    });
}
