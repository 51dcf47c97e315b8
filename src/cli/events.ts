import { text } from 'node:stream/consumers';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Event } from '../../sdk/src/index.ts';
import { findInexactInteger } from '../json-integers.ts';
import { collectPair, parseExactTime } from './arguments.ts';
import { assertConfirmed } from './confirmed.ts';
import { printEvent } from './event-line.ts';
import { type HarborTarget, openHarbor, openWorkspace } from './with-harbor.ts';
import { parseWorkspaceId } from './workspaces.ts';

interface Filter {
  readonly workspace?: string;
  readonly typePattern?: string[];
  readonly subject?: string;
  readonly after?: number;
}

interface NewEvent {
  readonly workspace?: string;
  readonly key?: string;
  readonly subject?: string;
  readonly occurredAt?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export function eventsCommand(): Command {
  const events = new Command('events').description('create, get, list, follow and erase events');
  events.addHelpText(
    'after',
    `
They talk to HARBOR_BASE_URL with HARBOR_SECRET_KEY, or, with neither, to the quick start of this checkout. On a terminal
an event is a line for people, in a pipe it is a line of JSON.`,
  );
  events
    .command('create')
    .description('create an event and print it')
    .argument('<type>', 'what happened, such as invoice.paid')
    .argument('[payload]', 'a JSON object; read from standard input when left out or -')
    .addOption(workspaceOption())
    .option('--key <key>', 'the idempotency key; made when left out')
    .option('--subject <subject>', 'what it is about, such as inv_0192ac4e8b1d')
    .option(
      '--occurred-at <time>',
      'when it happened, such as 2026-05-25T12:00:00.123456Z',
      parseExactTime,
    )
    .option('--metadata <name=value>', 'keep this beside the payload; may be repeated', collectPair)
    .action(createEvent);
  events
    .command('get')
    .description('print one event')
    .argument('<id>', 'the id of the event, evt_…')
    .addOption(new Option('--workspace <id>', 'only from this one').argParser(parseWorkspaceId))
    .action(getEvent);
  events
    .command('erase')
    .description('erase the content of an event, or of all events about a subject, for good')
    .argument('[id]', 'the id of the event, evt_…')
    .option('--subject <subject>', 'every event about this')
    .addOption(workspaceOption())
    .option('--confirm <id>', 'the id, or the subject, once more')
    .action(eraseEvents);
  withFilter(events.command('list'))
    .description('list events, the oldest first')
    .option('--desc', 'the newest first')
    .option('--limit <count>', 'how many at the most', parseCount, 100)
    .action(listEvents);
  withFilter(events.command('tail'))
    .description('follow events as they come, until Ctrl-C; --after 0 begins with the first')
    .action(tailEvents);
  return events;
}

export function workspaceOption(): Option {
  return new Option('--workspace <id>', 'default: HARBOR_WORKSPACE_ID').argParser(parseWorkspaceId);
}

function withFilter(command: Command): Command {
  return command
    .addOption(workspaceOption())
    .option('--type, --type-pattern <patterns...>', 'only these types, such as "invoice.*"')
    .option('--subject <subject>', 'only events about this')
    .option('--after <sequence>', 'only events with a higher sequence', parseCount);
}

async function createEvent(
  type: string,
  payload: string | undefined,
  { workspace, key, ...facts }: NewEvent,
): Promise<void> {
  const { harbor, workspaceId } = await openWorkspace(workspace);
  const given = payload === undefined || payload === '-' ? await text(process.stdin) : payload;
  const event = await harbor.events.create(
    { workspaceId, type, payload: parsePayload(given), ...facts },
    key === undefined ? {} : { idempotencyKey: key },
  );
  printEvent(event);
}

async function getEvent(id: string, options: { readonly workspace?: string }): Promise<void> {
  const harbor = await openHarbor();
  printEvent(await harbor.events.retrieve(id, { workspaceId: options.workspace }));
}

interface Erasing {
  readonly subject?: string;
  readonly workspace?: string;
  readonly confirm?: string;
}

async function eraseEvents(id: string | undefined, options: Erasing): Promise<void> {
  const { subject, workspace, confirm } = options;
  if ((id === undefined) === (subject === undefined)) {
    throw new Error('what to erase: pass the id of an event, or --subject');
  }
  const what = subject === undefined ? 'payload, subject and metadata' : 'those of all its events';
  assertConfirmed((subject ?? id) as string, confirm, `${what} are gone for good then`);
  if (id !== undefined) {
    const harbor = await openHarbor();
    return printEvent(await harbor.events.erase(id, { workspaceId: workspace }));
  }
  const { harbor, workspaceId } = await openWorkspace(workspace);
  const { erased } = await harbor.events.eraseBySubject({
    workspaceId,
    subject: subject as string,
  });
  process.stdout.write(`erased ${erased} ${erased === 1 ? 'event' : 'events'}\n`);
}

async function listEvents(
  options: Filter & { readonly desc?: true; readonly limit: number },
): Promise<void> {
  const { harbor, workspaceId } = await openWorkspace(options.workspace);
  const list = harbor.events.list({
    workspaceId,
    typePatterns: options.typePattern,
    subject: options.subject,
    afterSequence: options.after,
    order: options.desc === true ? 'desc' : 'asc',
    pageSize: Math.min(500, Math.max(1, options.limit)),
  });
  let left = options.limit;
  for await (const event of list) {
    if (left-- <= 0) return;
    printEvent(event);
  }
}

async function tailEvents(options: Filter): Promise<void> {
  const target = await openWorkspace(options.workspace);
  for await (const event of followEvents(target, options, new AbortController())) printEvent(event);
}

/** Events as they come, until a signal of the process aborts `interrupt`; tells of each interruption. */
export function followEvents(
  { harbor, workspaceId }: HarborTarget,
  { typePattern: typePatterns, subject, after: afterSequence }: Filter,
  interrupt: AbortController,
): AsyncIterable<Event> {
  process.once('SIGINT', () => interrupt.abort());
  process.once('SIGTERM', () => interrupt.abort());
  return harbor.events.subscribe(
    { workspaceId, typePatterns, subject, afterSequence },
    {
      signal: interrupt.signal,
      onReconnect: ({ error, delayMs }) =>
        void process.stderr.write(
          `harbor: ${error.message}; connecting again in ${Math.round(delayMs)} ms\n`,
        ),
    },
  );
}

function parsePayload(given: string): object {
  const integer = findInexactInteger(given);
  if (integer !== undefined) {
    const told = integer.length > 40 ? `${integer.slice(0, 40)}…` : integer;
    throw new Error(`the payload holds ${told}, which would be rounded: write it as a string`);
  }
  const payload = parseJson(given);
  if (typeof payload === 'object' && payload !== null && !Array.isArray(payload)) return payload;
  throw new Error('the payload is no JSON object, such as {"invoice_id":"inv_1"}');
}

function parseJson(given: string): unknown {
  try {
    return JSON.parse(given);
  } catch (error) {
    throw new Error(`the payload is not JSON: ${(error as Error).message}`);
  }
}

export function parseCount(given: string): number {
  if (/^\d{1,15}$/.test(given)) return Number(given);
  throw new InvalidArgumentError('It must be a whole number, 0 or more.');
}
