import type { Attempt, Delivery, ItemList, Replay, WebhookEndpoint } from '../../sdk/src/index.ts';
import type { RowFormat } from './rows.ts';

const time = (at: Date | undefined, none = '') => at?.toISOString().slice(0, 19) ?? none;

/** How endpoints are written; times are in UTC. */
export const endpointRows: RowFormat<WebhookEndpoint> = {
  columns: [
    { title: 'ID', cell: ({ id }) => id },
    { title: 'URL', cell: ({ url }) => url },
    { title: 'TYPES', cell: ({ typePatterns }) => typePatterns.join(' ') || 'every' },
    { title: 'STATUS', cell: describeStatus },
    { title: 'POSITION', cell: ({ position }) => String(position) },
    { title: 'LAG', cell: ({ lag }) => String(lag) },
    { title: 'OLDEST', cell: ({ oldestUndeliveredAt }) => time(oldestUndeliveredAt) },
    { title: 'LAST SUCCESS', cell: ({ lastSuccessAt }) => time(lastSuccessAt, 'never') },
    { title: 'LAST FAILURE', cell: ({ lastFailureAt }) => time(lastFailureAt, 'never') },
  ],
  toJson,
};

function describeStatus({ status, disabledReason, standingReason }: WebhookEndpoint): string {
  if (status === 'disabled') return `disabled: ${disabledReason ?? 'unknown'}`;
  return standingReason === undefined ? status : `${status}, ${standingReason}`;
}

export const deliveryRows: RowFormat<Delivery> = {
  columns: [
    { title: 'ID', cell: ({ id }) => id },
    { title: 'SEQUENCE', cell: ({ sequence }) => String(sequence) },
    { title: 'EVENT', cell: ({ eventId }) => eventId ?? '(no longer kept)' },
    { title: 'STATE', cell: ({ state }) => state },
    { title: 'ATTEMPTS', cell: ({ attempts }) => String(attempts) },
    { title: 'LAST', cell: ({ lastAttemptAt }) => time(lastAttemptAt) },
    { title: 'NEXT', cell: ({ nextAttemptAt }) => time(nextAttemptAt) },
    { title: 'REPLAY', cell: ({ replayId }) => replayId ?? '' },
  ],
  toJson,
};

/** The requests of one delivery. */
export const attemptRows: RowFormat<Attempt> = {
  columns: [
    { title: 'ATTEMPT', cell: ({ number }) => String(number) },
    { title: 'STARTED', cell: ({ startedAt }) => time(startedAt) },
    { title: 'TOOK', cell: ({ durationMs }) => `${durationMs} ms` },
    { title: 'RESULT', cell: ({ responseStatus, error = '' }) => error || `${responseStatus}` },
    { title: 'ANSWER', cell: ({ responseBody }) => responseBody },
  ],
  toJson,
};

export const replayRows: RowFormat<Replay> = {
  columns: [
    { title: 'ID', cell: ({ id }) => id },
    { title: 'STATE', cell: ({ state }) => state },
    {
      title: 'RANGE',
      cell: ({ firstSequence, lastSequence }) => `${firstSequence}–${lastSequence}`,
    },
    { title: 'POSITION', cell: ({ position }) => String(position) },
    { title: 'SUCCEEDED', cell: ({ succeeded }) => String(succeeded) },
    { title: 'FAILED', cell: ({ failed }) => String(failed) },
    { title: 'UNFINISHED', cell: ({ unfinished }) => String(unfinished) },
    { title: 'CREATED', cell: ({ createdAt }) => time(createdAt) },
    { title: 'ENDED', cell: ({ endedAt }) => time(endedAt) },
  ],
  toJson,
};

/** With the contract's names of fields, and the SDK's words for values of its enums. */
function toJson(row: object): object {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  );
}

/** A list of the SDK page by page, up to so many items. */
export async function* readItems<Item>(
  list: ItemList<Item>,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<readonly Item[]> {
  let left = limit;
  let next: typeof list | undefined = list;
  while (next !== undefined && left > 0) {
    const page: Awaited<typeof list> = await next;
    if (page.items.length > 0) yield page.items.slice(0, left);
    left -= page.items.length;
    next = page.nextPage() as typeof list | undefined;
  }
}
