import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { auditCommand } from './cli/audit.ts';
import { eventsCommand } from './cli/events.ts';
import { explain } from './cli/explain.ts';
import { keysCommand } from './cli/keys.ts';
import { migrateCommand } from './cli/migrate.ts';
import { webhooksCommand } from './cli/webhooks.ts';
import { workspacesCommand } from './cli/workspaces.ts';
import { mendJsonParse } from './json-parse.ts';
import type { ServeOptions } from './main.ts';

mendJsonParse();

const program = new Command('harbor')
  .description('Run and administer Harbor Events.')
  .version(readVersion())
  .showHelpAfterError('(harbor --help lists the commands)')
  .addHelpText(
    'after',
    `
Commands that work on the database take it from DATABASE_URL, or from a quick start (npm start) that is
running in this checkout.`,
  );

program
  .command('serve')
  .description('run the service on DATABASE_URL until SIGTERM or SIGINT')
  .option('--embedded', 'on a PostgreSQL of its own, kept in .harbor/ (HARBOR_DATA_DIR)')
  .option(
    '--quick-start',
    'as "npm start" does: embedded where DATABASE_URL is not set, with a workspace and a key',
  )
  .action(async (options: ServeOptions) => {
    // Loaded only here: the other commands need a fraction of it.
    const { main } = await import('./main.ts');
    await main(options);
  });
program.addCommand(migrateCommand());
program.addCommand(workspacesCommand());
program.addCommand(keysCommand());
program.addCommand(eventsCommand());
program.addCommand(webhooksCommand());
program.addCommand(auditCommand());

function readVersion(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return JSON.parse(manifest).version;
}

// Whoever read the pipe has left: there is nothing more to say, and nothing wrong.
process.stdout.on('error', () => process.exit(0));

await program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`harbor: ${explain(error)}\n`);
  process.exit(1);
});
