import { Command, Option } from 'commander';
import type { DeliveryState } from '../../sdk/src/index.ts';
import { parseId } from './arguments.ts';
import { parseCount } from './events.ts';
import { onePage, printPages } from './rows.ts';
import { type RangeOptions, toRange, withRange } from './webhook-replays.ts';
import { attemptRows, deliveryRows, readItems, replayRows } from './webhook-rows.ts';
import { openHarbor } from './with-harbor.ts';

interface ListOptions {
  readonly event?: string;
  readonly state?: DeliveryState;
  readonly limit: number;
}

export function deliveriesCommand(): Command {
  return new Command('deliveries')
    .description(
      'list the deliveries of an endpoint, the newest first, or the requests of a delivery',
    )
    .argument(
      '<id>',
      'the id of the endpoint, whe_…, or of a delivery, dlv_…',
      parseId('whe', 'dlv'),
    )
    .option('--event <id>', 'only those of this event, evt_…', parseId('evt'))
    .addOption(
      new Option('--state <state>', 'only those in this state').choices([
        ...['pending', 'in_flight', 'succeeded', 'failed', 'cancelled'],
      ]),
    )
    .option('--limit <count>', 'how many at the most', parseCount, 100)
    .action(listDeliveries);
}

async function listDeliveries(id: string, options: ListOptions): Promise<void> {
  const { deliveries } = await openHarbor();
  if (id.startsWith('dlv_')) {
    const { requests } = await deliveries.retrieve(id);
    return printPages(onePage(...requests), attemptRows);
  }
  const { event: eventId, state, limit } = options;
  const pageSize = Math.min(500, Math.max(1, limit));
  const list = deliveries.list({ endpointId: id, eventId, state, pageSize });
  return printPages(readItems(list, limit), deliveryRows);
}

export function retryCommand(): Command {
  return withRange(new Command('retry'))
    .description('send a delivery once more now, or all of an endpoint that have failed')
    .argument(
      '<id>',
      'the id of the delivery, dlv_…, or of the endpoint, whe_…, whose failed ones are replayed',
      parseId('dlv', 'whe'),
    )
    .action(retry);
}

async function retry(id: string, options: RangeOptions): Promise<void> {
  const { deliveries } = await openHarbor();
  if (id.startsWith('whe_')) {
    const replay = await deliveries.retryFailed({ endpointId: id, ...toRange(options) });
    return printPages(onePage(replay), replayRows);
  }
  if (Object.keys(options).length > 0) {
    throw new Error('a range is for an endpoint: one delivery is sent again whatever it is');
  }
  return printPages(onePage(await deliveries.retry(id)), deliveryRows);
}
