import { Command } from 'commander';
import { listenCommand } from './webhooks-listen.ts';
import { reencryptCommand } from './webhooks-reencrypt.ts';

export function webhooksCommand(): Command {
  return new Command('webhooks')
    .description('send events to other systems, and to this machine')
    .addCommand(listenCommand())
    .addCommand(reencryptCommand());
}
