import { Command } from 'commander';
import { parseDuration, parseId } from './arguments.ts';
import { assertConfirmed } from './confirmed.ts';
import { workspaceOption } from './events.ts';
import { onePage, printPages } from './rows.ts';
import { attemptRows, endpointRows, readItems } from './webhook-rows.ts';
import { openHarbor, openWorkspace } from './with-harbor.ts';

const overlapDaysMax = 7;

export function listCommand(): Command {
  return new Command('list')
    .description('list the endpoints of a workspace, the newest first, and how they fare')
    .addOption(workspaceOption())
    .action(async ({ workspace }: { workspace?: string }) => {
      const { harbor, workspaceId } = await openWorkspace(workspace);
      const list = harbor.webhookEndpoints.list({ workspaceId, pageSize: 500 });
      await printPages(readItems(list), endpointRows);
    });
}

export function secretCommand(): Command {
  return new Command('secret')
    .description('print the secrets by which requests to an endpoint are signed, the newest first')
    .argument('<id>', 'the id of the endpoint, whe_…', parseId('whe'))
    .action(async (id: string) => {
      const secrets = await (await openHarbor()).webhookEndpoints.revealSecret(id);
      process.stdout.write(secrets.map(({ secret }) => `${secret}\n`).join(''));
    });
}

export function pauseCommand(): Command {
  return new Command('pause')
    .description('send an endpoint, or a replay, no more until it is resumed')
    .argument(
      '<id>',
      'the id of the endpoint, whe_…, or of the replay, rpl_…',
      parseId('whe', 'rpl'),
    )
    .action(async (id: string) => {
      const { replays, webhookEndpoints } = await openHarbor();
      await (id.startsWith('rpl_') ? replays.pause(id) : webhookEndpoints.pause(id));
      process.stdout.write(`paused ${id}\n`);
    });
}

export function resumeCommand(): Command {
  return new Command('resume')
    .description('go on where a paused or disabled endpoint, or a paused replay, stood')
    .argument(
      '<id>',
      'the id of the endpoint, whe_…, or of the replay, rpl_…',
      parseId('whe', 'rpl'),
    )
    .option('--from-now', 'leave out what an endpoint has not been sent until now')
    .action(async (id: string, { fromNow = false }: { fromNow?: boolean }) => {
      const { replays, webhookEndpoints } = await openHarbor();
      if (!id.startsWith('rpl_')) await webhookEndpoints.resume(id, { fromNow });
      else if (fromNow) throw new Error('--from-now is for endpoints: a replay is cancelled');
      else await replays.resume(id);
      process.stdout.write(`resumed ${id}\n`);
    });
}

export function rotateCommand(): Command {
  return new Command('rotate')
    .description('give an endpoint a new secret; prints it, and nothing else, on stdout')
    .argument('<id>', 'the id of the endpoint, whe_…', parseId('whe'))
    .option(
      '--overlap <time>',
      'how long what was its secret signs besides, such as 2h, at most 7d (default: 24h)',
      parseDuration(overlapDaysMax),
    )
    .action(async (id: string, { overlap: overlapMs }: { overlap?: number }) => {
      const secret = await (await openHarbor()).webhookEndpoints.rotateSecret(id, { overlapMs });
      const old = overlapMs === 0 ? 'no more' : 'besides until the overlap ends';
      process.stderr.write(`rotated ${id}; what was its secret signs ${old}; the new one:\n`);
      process.stdout.write(`${secret}\n`);
    });
}

export function testCommand(): Command {
  return new Command('test')
    .description(
      'send an endpoint one signed request now, with an event that is in no log; fails unless it answers 2xx',
    )
    .argument('<id>', 'the id of the endpoint, whe_…', parseId('whe'))
    .action(async (id: string) => {
      const attempt = await (await openHarbor()).webhookEndpoints.sendTestEvent(id);
      await printPages(onePage(attempt), attemptRows);
      const { responseStatus: status = 0 } = attempt;
      if (status < 200 || status >= 300) process.exitCode = 1;
    });
}

export function deleteCommand(): Command {
  return new Command('delete')
    .description('delete an endpoint, with its secrets and replays, for good')
    .argument('<id>', 'the id of the endpoint, whe_…', parseId('whe'))
    .option('--confirm <id>', 'the id once more')
    .action(async (id: string, { confirm }: { confirm?: string }) => {
      assertConfirmed(id, confirm, 'what it was not sent yet is not sent then');
      await (await openHarbor()).webhookEndpoints.delete(id);
      process.stdout.write(`deleted ${id}\n`);
    });
}
