import { Command } from 'commander';
import { deliveriesCommand, retryCommand } from './webhook-deliveries.ts';
import {
  deleteCommand,
  listCommand,
  pauseCommand,
  resumeCommand,
  rotateCommand,
  secretCommand,
  testCommand,
} from './webhook-endpoints.ts';
import { cancelCommand, replayCommand, replaysCommand } from './webhook-replays.ts';
import { createCommand, updateCommand } from './webhook-settings.ts';
import { listenCommand } from './webhooks-listen.ts';
import { reencryptCommand } from './webhooks-reencrypt.ts';

export function webhooksCommand(): Command {
  const webhooks = new Command('webhooks').description(
    'send events to other systems, and to this machine',
  );
  webhooks.addHelpText(
    'after',
    `
They talk to HARBOR_BASE_URL with HARBOR_SECRET_KEY, or, with neither, to the quick start of this checkout; reencrypt
works on the database. On a terminal lists are tables, in a pipe they are lines of JSON.`,
  );
  const commands = [
    createCommand(),
    listCommand(),
    updateCommand(),
    pauseCommand(),
    resumeCommand(),
    testCommand(),
    secretCommand(),
    rotateCommand(),
    deleteCommand(),
    deliveriesCommand(),
    retryCommand(),
    replayCommand(),
    replaysCommand(),
    cancelCommand(),
    listenCommand(),
    reencryptCommand(),
  ];
  for (const command of commands) webhooks.addCommand(command);
  return webhooks;
}
