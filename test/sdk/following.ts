import { createClient } from '@connectrpc/connect';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { Events, type EventsDeps } from '../../sdk/src/events/events.ts';
import type { Event } from '../../sdk/src/index.ts';
import { parseOptions } from '../../sdk/src/options.ts';
import { createErrorTranslation } from '../../sdk/src/to-harbor-error.ts';
import { createTransport } from '../../sdk/src/transport.ts';
import { wait } from '../../sdk/src/wait.ts';

export const secretKey = 'hbr_sk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK';

/** `harbor.events` as Harbor makes it, with time and chance in the hands of the test. */
export function connectTo(baseUrl: string, given: Partial<EventsDeps> = {}): Events {
  const settings = parseOptions({ secretKey, baseUrl });
  return new Events({
    client: createClient(EventsService, createTransport(settings)),
    call: () => Promise.reject(new Error('these tests make no unary calls')),
    payloadKeys: settings.payloadKeys,
    payloadIntegers: settings.payloadIntegers,
    toHarborError: createErrorTranslation(settings),
    timeoutMs: 10_000,
    idleMs: 45_000,
    random: () => 0,
    wait,
    ...given,
  });
}

/** Takes events until there are as many, and leaves the loop. */
export async function take(events: AsyncIterable<Event>, count: number): Promise<number[]> {
  const sequences: number[] = [];
  for await (const { sequence } of events) {
    sequences.push(sequence);
    if (sequences.length === count) break;
  }
  return sequences;
}
