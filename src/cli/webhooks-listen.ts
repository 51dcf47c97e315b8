import { Command, InvalidArgumentError } from 'commander';
import type { Event } from '../../sdk/src/index.ts';
import { newWebhookSecret, signatureHeaders, toSigningKey } from '../webhooks/index.ts';
import { printEvent, toWebhookBody } from './event-line.ts';
import { parseCount, workspaceOption } from './events.ts';
import { toTerminalText } from './terminal-text.ts';
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

const answerTimeoutMs = 15_000;

export function listenCommand(): Command {
  return new Command('listen')
    .description('forward events as signed webhooks to this machine, which needs no public address')
    .addOption(workspaceOption())
    .option('--forward-to <url>', 'where to, such as http://localhost:3000/hooks', parseTarget)
    .option('--print', 'print events instead of forwarding them')
    .option('--secret <whsec>', 'sign with this; made and printed when left out', parseSecret)
    .option('--type, --type-pattern <patterns...>', 'only these types, such as "invoice.*"')
    .option('--subject <subject>', 'only events about this')
    .option(
      '--after <sequence>',
      'begin after this sequence, 0 with the first; from now when left out',
      parseCount,
    )
    .action(listen);
}

async function listen(options: ListenOptions): Promise<void> {
  const { forwardTo, print, secret = newWebhookSecret() } = options;
  if (forwardTo === undefined && print === undefined) {
    throw new Error('nowhere to forward to: pass --forward-to, or --print');
  }
  const { harbor, workspaceId } = await openWorkspace(options.workspace);
  if (forwardTo !== undefined) {
    const told = options.secret === undefined ? `, signed with ${secret}` : '';
    process.stderr.write(`forwarding events of ${workspaceId} to ${forwardTo}${told}\n`);
  }
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  process.once('SIGTERM', () => interrupt.abort());
  const { typePattern: typePatterns, subject, after: afterSequence } = options;
  const events = harbor.events.subscribe(
    { workspaceId, typePatterns, subject, afterSequence },
    { signal: interrupt.signal },
  );
  for await (const event of events) {
    if (forwardTo === undefined) printEvent(event);
    else process.stdout.write(`${await forward(event, forwardTo, secret)}\n`);
  }
}

/** Sends an event once, and tells in a line what came of it. */
async function forward(event: Event, url: string, secret: string): Promise<string> {
  const body = Buffer.from(toWebhookBody(event));
  const beganAtMs = performance.now();
  const outcome = await fetch(url, {
    method: 'POST',
    redirect: 'manual',
    signal: AbortSignal.timeout(answerTimeoutMs),
    headers: {
      'content-type': 'application/json',
      'harbor-attempt': '1',
      'harbor-sequence': `${event.sequence}`,
      ...signatureHeaders([toSigningKey(secret)], { id: event.id, atMs: Date.now(), body }),
    },
    body,
  }).then(
    async (response) => {
      await response.body?.cancel();
      return `${response.status}`;
    },
    (error: Error) => describe(error),
  );
  const durationMs = Math.round(performance.now() - beganAtMs);
  return toTerminalText(`${outcome}  ${durationMs} ms  ${event.type}  ${event.id}`);
}

function describe(error: Error): string {
  if (error.name === 'TimeoutError') return 'no answer';
  const { cause } = error;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : error.message;
}

function parseTarget(given: string): string {
  const isHttp = URL.canParse(given) && /^https?:$/.test(new URL(given).protocol);
  if (isHttp) return given;
  throw new InvalidArgumentError('It must be a URL, such as http://localhost:3000/hooks.');
}

function parseSecret(given: string): string {
  if (/^whsec_[0-9A-Za-z+/]{22,}={0,2}$/.test(given)) return given;
  throw new InvalidArgumentError('It must be whsec_ and base64.');
}
