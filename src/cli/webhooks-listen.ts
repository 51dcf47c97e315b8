import { createHmac } from 'node:crypto';
import { Command, InvalidArgumentError, Option } from 'commander';
import { printEvent } from './event-line.ts';
import { followEvents, parseCount, workspaceOption } from './events.ts';
import type { Forwarder } from './webhook-forwarder.ts';
import { openWorkspace } from './with-harbor.ts';

interface ListenOptions {
  readonly workspace?: string;
  readonly typePattern?: string[];
  readonly subject?: string;
  readonly after?: number;
  readonly forwardTo?: string;
  readonly secret?: string;
  readonly print?: true;
}

export function listenCommand(): Command {
  return new Command('listen')
    .description('forward events as signed webhooks to this machine, which needs no public address')
    .addOption(workspaceOption())
    .option('--forward-to <url>', 'where to, such as http://localhost:3000/hooks', parseTarget)
    .addOption(
      new Option('--print', 'print events instead of forwarding them').conflicts('forwardTo'),
    )
    .option(
      '--secret <whsec>',
      'sign with this; when left out, with one that is the same whenever the API key is',
      parseSecret,
    )
    .option('--type, --type-pattern <patterns...>', 'only these types, such as "invoice.*"')
    .option('--subject <subject>', 'only events about this')
    .option(
      '--after <sequence>',
      'begin after this sequence, 0 with the first; from now when left out',
      parseCount,
    )
    .addHelpText(
      'after',
      `
Each event is sent once, in the order of the log, and told of in a line: the status of the answer or what went wrong, the
time it took, type and id. As with endpoints, events of the service's own come only by a pattern that begins with "harbor.".`,
    )
    .action(listen);
}

async function listen(options: ListenOptions): Promise<void> {
  const { forwardTo, print, typePattern: typePatterns = [] } = options;
  if (forwardTo === undefined && print === undefined) {
    throw new Error('nowhere to forward to: pass --forward-to, or --print');
  }
  const target = await openWorkspace(options.workspace);
  // Loaded only here: the other commands need nothing of the service's webhooks.
  const { isTypeFor } = await import('../webhooks/index.ts');
  const forwarder =
    forwardTo === undefined ? undefined : await openForwarder(forwardTo, options, target);
  const interrupt = new AbortController();
  interrupt.signal.addEventListener('abort', () => void forwarder?.close());
  try {
    for await (const event of followEvents(target, options, interrupt)) {
      if (!isTypeFor(typePatterns, event.type)) continue;
      if (forwarder === undefined) {
        printEvent(event);
        continue;
      }
      const line = await forwarder.forward(event);
      if (!interrupt.signal.aborted) process.stdout.write(`${line}\n`);
    }
  } finally {
    await forwarder?.close();
  }
}

async function openForwarder(
  url: string,
  { secret: given }: ListenOptions,
  { workspaceId, secretKey }: { readonly workspaceId: string; readonly secretKey: string },
): Promise<Forwarder> {
  const { createForwarder } = await import('./webhook-forwarder.ts');
  const secret = given ?? toListenSecret(secretKey);
  const told = given === undefined ? `, signed with ${secret}` : '';
  process.stderr.write(`forwarding events of ${workspaceId} to ${url}${told}\n`);
  return createForwarder(url, secret);
}

/** The same at each run, so that a receiver can be told it once. It tells nothing of the API key. */
function toListenSecret(secretKey: string): string {
  return `whsec_${createHmac('sha256', secretKey).update('webhooks listen').digest('base64')}`;
}

function parseTarget(given: string): string {
  const url = URL.parse(given);
  const isHttp = url !== null && /^https?:$/.test(url.protocol);
  if (isHttp && url.username === '' && url.password === '') return url.href;
  throw new InvalidArgumentError(
    'It must be a URL without a user name, such as http://localhost:3000/hooks.',
  );
}

function parseSecret(given: string): string {
  if (/^whsec_(?:[0-9A-Za-z+/]{4}){6,}(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?$/.test(given)) {
    return given;
  }
  throw new InvalidArgumentError('It must be whsec_ and base64, such as an endpoint has.');
}
