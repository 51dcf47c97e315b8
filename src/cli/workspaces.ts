import { Command, InvalidArgumentError, Option } from 'commander';
import { createWorkspaceStore, newWorkspaceId, type Workspace } from '../workspaces/index.ts';
import { parseName } from './arguments.ts';
import { assertConfirmed } from './confirmed.ts';
import {
  addRateLimitOptions,
  describeLimits,
  limitsToJson,
  type RateLimitOptions,
  readRateLimits,
} from './rate-limit-options.ts';
import { printPages, type RowFormat, readPages } from './rows.ts';
import { withDatabase } from './with-database.ts';

interface CreateOptions extends RateLimitOptions {
  readonly name: string;
  readonly retentionDays?: number;
}

interface UpdateOptions extends RateLimitOptions {
  readonly name?: string;
  readonly retentionDays?: number;
  readonly confirm?: string;
}

export function workspacesCommand(): Command {
  const workspaces = new Command('workspaces').description(
    'create, list, change and delete workspaces',
  );
  const create = workspaces
    .command('create')
    .description('create a workspace and print its id')
    .argument('[id]', 'an id that exists already elsewhere; made when left out', parseWorkspaceId)
    .option('--name <text>', 'what people call it', parseName, '')
    .addOption(retentionOption())
    .action(createWorkspace);
  addRateLimitOptions(create);
  workspaces
    .command('list')
    .description('list workspaces by id, with the sequence of their newest event')
    .action(listWorkspaces);
  const update = workspaces
    .command('update')
    .description('rename a workspace, change its rate limits, or how long its events are kept')
    .argument('<id>', 'the id of the workspace', parseWorkspaceId)
    .option('--name <text>', 'what people call it', parseName)
    .addOption(retentionOption())
    .option('--confirm <id>', 'the id once more, where retention is shortened')
    .action(updateWorkspace);
  addRateLimitOptions(update);
  workspaces
    .command('delete')
    .description('delete a workspace with all its events, for good')
    .argument('<id>', 'the id of the workspace', parseWorkspaceId)
    .option('--confirm <id>', 'the id once more')
    .action(deleteWorkspace);
  return workspaces;
}

function retentionOption(): Option {
  return new Option(
    '--retention-days <days>',
    'how long events are kept: 7–36500 days, or "forever"',
  ).argParser(parseRetention);
}

async function createWorkspace(id: string | undefined, options: CreateOptions): Promise<void> {
  const { name, retentionDays = 0 } = options;
  const workspace = await withDatabase((database) =>
    createWorkspaceStore(database).create(id ?? newWorkspaceId(), name, {
      retentionDays,
      rateLimits: readRateLimits(options),
    }),
  );
  process.stdout.write(`${workspace.id}\n`);
}

function listWorkspaces(): Promise<void> {
  return withDatabase((database) => {
    const store = createWorkspaceStore(database);
    const pages = readPages((afterId = '', limit) =>
      store.list({ afterId, limit, onlyIds: undefined }),
    );
    return printPages(pages, workspaceRows);
  });
}

async function updateWorkspace(id: string, options: UpdateOptions): Promise<void> {
  const { name: displayName, retentionDays, confirm } = options;
  const update = { displayName, retentionDays, rateLimits: readRateLimits(options) };
  if (Object.values(update).every((one) => one === undefined)) {
    throw new Error(
      'nothing to change: pass --name, --retention-days, or a limit such as --streams',
    );
  }
  const assertMayErase = () =>
    assertConfirmed(id, confirm, `events older than ${retentionDays} days are gone for good then`);
  await withDatabase((database) =>
    createWorkspaceStore(database).update(id, update, { assertMayErase }),
  );
  process.stdout.write(`updated ${id}\n`);
}

async function deleteWorkspace(id: string, { confirm }: { confirm?: string }): Promise<void> {
  assertConfirmed(id, confirm, 'all its events are gone for good then');
  await withDatabase((database) => createWorkspaceStore(database).delete(id));
  process.stdout.write(`deleted ${id}\n`);
}

const workspaceRows: RowFormat<Workspace> = {
  columns: [
    { title: 'ID', cell: ({ id }) => id },
    { title: 'NAME', cell: ({ displayName }) => displayName },
    { title: 'FIRST SEQUENCE', cell: ({ firstSequence }) => String(firstSequence) },
    { title: 'LAST SEQUENCE', cell: ({ lastSequence }) => String(lastSequence) },
    { title: 'KEPT', cell: ({ retentionDays }) => keptFor(retentionDays) },
    { title: 'LIMITS', cell: ({ rateLimits }) => describeLimits(rateLimits) },
    { title: 'CREATED', cell: ({ createdAt }) => createdAt.toISOString().slice(0, 19) },
  ],
  toJson: (workspace) => ({
    id: workspace.id,
    display_name: workspace.displayName,
    first_sequence: workspace.firstSequence,
    last_sequence: workspace.lastSequence,
    retention_days: workspace.retentionDays ?? 0,
    created_at: workspace.createdAt,
    rate_limits: limitsToJson(workspace.rateLimits),
  }),
};

function keptFor(days: number | undefined): string {
  return days === undefined ? 'for ever' : `${days} days`;
}

function parseRetention(text: string): number {
  if (text === 'forever') return 0;
  const days = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (days >= 7 && days <= 36_500) return days;
  throw new InvalidArgumentError('It must be 7–36500 days, or "forever".');
}

export function parseWorkspaceId(text: string): string {
  if (/^ws_[0-9a-z]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError('It must be ws_ and 1–64 lower-case letters and digits.');
}
