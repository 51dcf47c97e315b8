import { Command } from 'commander';
import { readConfig } from '../config.ts';
import { migrate } from '../database/migrate.ts';
import { assertSessionsKept } from '../database/pooler.ts';
import { withDatabase } from './with-database.ts';

export function migrateCommand(): Command {
  return new Command('migrate')
    .description('bring the database schema up to date; "serve" does so by itself')
    .action(async () => {
      const ran = await withDatabase(async (database) => {
        await assertSessionsKept(database);
        return await migrate(database, {
          eventPartitions: readConfig().eventPartitions,
          onStep: ({ migration, step }) => tell(`${migration}: ${step}`),
          onWait: () => tell('another process migrates the database; waiting for it'),
        });
      });
      const text = ran.length === 0 ? 'the schema is up to date' : `ran ${ran.join(', ')}`;
      tell(text);
    });
}

function tell(line: string): void {
  process.stdout.write(`${line}\n`);
}
