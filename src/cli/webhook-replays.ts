import { Command } from 'commander';
import type { NewReplay } from '../../sdk/src/index.ts';
import { parseCountWithin, parseId, parseTime } from './arguments.ts';
import { parseCount } from './events.ts';
import { onePage, printPages } from './rows.ts';
import { readItems, replayRows } from './webhook-rows.ts';
import { openHarbor } from './with-harbor.ts';

/** A range of a log. */
export interface RangeOptions {
  readonly after?: number;
  readonly until?: number;
  readonly since?: Date;
  readonly before?: Date;
}

interface ReplayOptions extends RangeOptions {
  readonly typePattern?: string[];
  readonly onlyFailed?: true;
  readonly maxPerSecond?: number;
  readonly dryRun?: true;
  readonly requestId?: string;
}

export function withRange(command: Command): Command {
  return command
    .option('--after <sequence>', 'only events with a higher sequence', parseCount)
    .option('--until <sequence>', 'only events up to this sequence', parseCount)
    .option('--since <time>', 'only events created after this, such as 2026-05-25', parseTime)
    .option('--before <time>', 'only events created before this', parseTime);
}

export function toRange({ after, until, since, before }: RangeOptions) {
  if (until !== undefined && until !== 0 && until < (after ?? 0)) {
    throw new Error('--until must not be less than --after');
  }
  if (since !== undefined && before !== undefined && before < since) {
    throw new Error('--before must not be earlier than --since');
  }
  return {
    afterSequence: after,
    untilSequence: until,
    createdAfter: since,
    createdBefore: before,
  };
}

export function replayCommand(): Command {
  return withRange(new Command('replay'))
    .description('send past events to an endpoint again; it goes on by itself')
    .argument('<endpoint>', 'the id of the endpoint, whe_…', parseId('whe'))
    .option('--type, --type-pattern <patterns...>', 'only these types, such as "invoice.*"')
    .option('--only-failed', 'only events whose delivery has failed, as far back as that is kept')
    .option('--max-per-second <count>', 'requests a second', parseCountWithin(1, 10_000))
    .option('--dry-run', 'send nothing, and print how many events it would be')
    .option('--request-id <id>', 'makes one replay, however often it is repeated within 24 hours')
    .action(createReplay);
}

async function createReplay(endpointId: string, options: ReplayOptions): Promise<void> {
  const { replays } = await openHarbor();
  const { typePattern: typePatterns, onlyFailed, maxPerSecond, requestId } = options;
  const wish: NewReplay = {
    endpointId,
    ...toRange(options),
    typePatterns,
    onlyFailed,
    maxPerSecond,
  };
  if (options.dryRun === true) {
    const { matching, isAtLeast } = await replays.count(wish);
    if (isAtLeast) process.stderr.write('at least, as the count ended early:\n');
    process.stdout.write(`${matching}\n`);
    return;
  }
  const replay = await replays.create(wish, requestId === undefined ? {} : { requestId });
  await printPages(onePage(replay), replayRows);
}

export function replaysCommand(): Command {
  return new Command('replays')
    .description('list the replays of an endpoint, the newest first, and how far they are')
    .argument('<endpoint>', 'the id of the endpoint, whe_…', parseId('whe'))
    .action(async (endpointId: string) => {
      const { replays } = await openHarbor();
      await printPages(readItems(replays.list({ endpointId, pageSize: 500 })), replayRows);
    });
}

export function cancelCommand(): Command {
  return new Command('cancel')
    .description('end a replay for good')
    .argument('<replay>', 'the id of the replay, rpl_…', parseId('rpl'))
    .action(async (id: string) => {
      await (await openHarbor()).replays.cancel(id);
      process.stdout.write(`cancelled ${id}\n`);
    });
}
