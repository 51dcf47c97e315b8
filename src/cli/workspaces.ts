import { Command, InvalidArgumentError } from 'commander';
import { createWorkspaceStore, newWorkspaceId, type Workspace } from '../workspaces/index.ts';
import { parseName } from './arguments.ts';
import { printPages, type RowFormat, readPages } from './rows.ts';
import { withDatabase } from './with-database.ts';

export function workspacesCommand(): Command {
  const workspaces = new Command('workspaces').description('create and list workspaces');
  workspaces
    .command('create')
    .description('create a workspace and print its id')
    .argument('[id]', 'an id that exists already elsewhere; made when left out', parseWorkspaceId)
    .option('--name <text>', 'what people call it', parseName, '')
    .action(async (id: string | undefined, options: { name: string }) => {
      const workspace = await withDatabase((database) =>
        createWorkspaceStore(database).create(id ?? newWorkspaceId(), options.name),
      );
      process.stdout.write(`${workspace.id}\n`);
    });
  workspaces
    .command('list')
    .description('list workspaces by id, with the sequence of their newest event')
    .action(() =>
      withDatabase((database) => {
        const store = createWorkspaceStore(database);
        const pages = readPages((afterId = '', limit) =>
          store.list({ afterId, limit, onlyIds: undefined }),
        );
        return printPages(pages, workspaceRows);
      }),
    );
  return workspaces;
}

const workspaceRows: RowFormat<Workspace> = {
  columns: [
    { title: 'ID', cell: ({ id }) => id },
    { title: 'NAME', cell: ({ displayName }) => displayName },
    { title: 'LAST SEQUENCE', cell: ({ lastSequence }) => String(lastSequence) },
    { title: 'CREATED', cell: ({ createdAt }) => createdAt.toISOString().slice(0, 19) },
  ],
  toJson: ({ id, displayName, lastSequence, createdAt }) => ({
    id,
    display_name: displayName,
    last_sequence: lastSequence,
    created_at: createdAt,
  }),
};

export function parseWorkspaceId(text: string): string {
  if (/^ws_[0-9a-z]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError('It must be ws_ and 1–64 lower-case letters and digits.');
}
