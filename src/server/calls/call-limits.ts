import type { DescMethod } from '@bufbuild/protobuf';
import type { ContextValues } from '@connectrpc/connect';
import { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { Caller } from '../../api-keys/index.ts';
import { ofKey, type RateLimiter, standingKey } from '../../rate-limits/index.ts';

/** What counts against limits of creates. */
const creates: ReadonlySet<DescMethod> = new Set([
  EventsService.method.createEvent,
  EventsService.method.batchCreateEvents,
]);

/**
 * Refuses what the limits of a key alone refuse, before anything of the call is read; limits of a workspace, which
 * stands in what is read, and of bytes are up to its handler, which also does the counting.
 *
 * @throws RateLimited
 */
export function assertWithinLimits(
  limiter: RateLimiter,
  { method, caller, values }: LimitedCall,
): void {
  if (caller.rateLimits === undefined) return;
  const key = ofKey(caller);
  if (creates.has(method)) {
    values.set(standingKey, () => limiter.standingOf([key], 'creates'));
    limiter.assertMayCreate(key);
  } else if (method === EventsService.method.subscribeEvents) {
    values.set(standingKey, () => limiter.standingOf([key], 'streams'));
    limiter.assertMayStream(key);
  }
}

export interface LimitedCall {
  readonly method: DescMethod;
  readonly caller: Caller;
  readonly values: ContextValues;
}
