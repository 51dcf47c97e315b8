import { Command, InvalidArgumentError } from 'commander';
import { createWorkspaceStore, newWorkspaceId } from '../workspaces/index.ts';
import { withDatabase } from './with-database.ts';

export function workspacesCommand(): Command {
  const workspaces = new Command('workspaces').description('create workspaces');
  workspaces
    .command('create')
    .description('create a workspace and print its id')
    .argument('[id]', 'an id that exists already elsewhere; made when left out', parseWorkspaceId)
    .option('--name <text>', 'what people call it', '')
    .action(async (id: string | undefined, options: { name: string }) => {
      const workspace = await withDatabase((database) =>
        createWorkspaceStore(database).create(id ?? newWorkspaceId(), options.name),
      );
      process.stdout.write(`${workspace.id}\n`);
    });
  return workspaces;
}

export function parseWorkspaceId(text: string): string {
  if (/^ws_[0-9a-z]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError('It must be ws_ and 1–64 lower-case letters and digits.');
}
