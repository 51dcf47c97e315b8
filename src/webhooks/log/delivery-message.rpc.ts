import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type AttemptSchema,
  type DeliverySchema,
  DeliveryState as State,
} from '../../../gen/typescript/harbor/webhooks/v1/delivery_pb.ts';
import type { AttemptRecord, DeliveryRecord, DeliveryState } from './delivery-log-store.ts';

const states = {
  pending: State.PENDING,
  in_flight: State.IN_FLIGHT,
  succeeded: State.SUCCEEDED,
  failed: State.FAILED,
  cancelled: State.CANCELLED,
} as const satisfies Record<DeliveryState, State>;

export function toDeliveryMessage(
  delivery: DeliveryRecord,
): MessageInitShape<typeof DeliverySchema> {
  const { nextAttemptAt, lastAttemptAt } = delivery;
  return {
    id: delivery.id,
    endpointId: delivery.endpointId,
    workspaceId: delivery.workspaceId,
    eventId: delivery.eventId ?? '',
    sequence: BigInt(delivery.sequence),
    previousSequence: BigInt(delivery.previousSequence),
    replayId: delivery.replayId ?? '',
    state: states[delivery.state],
    attempts: delivery.attempts,
    ...(nextAttemptAt && { nextAttemptAt: timestampFromDate(nextAttemptAt) }),
    ...(lastAttemptAt && { lastAttemptAt: timestampFromDate(lastAttemptAt) }),
  };
}

export function toAttemptMessage(attempt: AttemptRecord): MessageInitShape<typeof AttemptSchema> {
  const { number, startedAt, durationMs, status = 0, error = '', response } = attempt;
  return {
    number,
    startedAt: timestampFromDate(startedAt),
    durationMs,
    responseStatus: status,
    error,
    ...(response && { responseBody: Uint8Array.from(response) }),
  };
}

/** Undefined: in any state. */
export function toState(state: State): DeliveryState | undefined {
  const found = Object.entries(states).find(([, value]) => value === state);
  return found?.[0] as DeliveryState | undefined;
}
