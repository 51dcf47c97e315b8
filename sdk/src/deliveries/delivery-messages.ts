import {
  type Attempt as AttemptMessage,
  type Delivery as DeliveryMessage,
  DeliveryState as State,
} from '../../../gen/typescript/harbor/webhooks/v1/delivery_pb.ts';
import { toSafeInteger } from '../events/from-message.ts';
import { dateField, nameOf, parseName, requireDate, requireMessage } from '../message-parts.ts';

/** What has become of a delivery. */
export type DeliveryState = keyof typeof states;

const states = {
  pending: State.PENDING,
  in_flight: State.IN_FLIGHT,
  succeeded: State.SUCCEEDED,
  failed: State.FAILED,
  cancelled: State.CANCELLED,
} as const;

/** One event on its way to one endpoint. */
export interface Delivery {
  /** dlv_…, the same for each of its requests: the header harbor-delivery. */
  readonly id: string;
  readonly endpointId: string;
  readonly workspaceId: string;
  /** Absent where the event is no longer kept. */
  readonly eventId?: string;
  readonly sequence: number;
  /** The sequence that the same endpoint or replay was sent before it; absent for the first. */
  readonly previousSequence?: number;
  /** The replay that it belongs to. */
  readonly replayId?: string;
  /** 'failed': given up after the whole schedule. 'cancelled': given up by a caller. */
  readonly state: DeliveryState;
  /** Requests that were sent so far. */
  readonly attempts: number;
  readonly nextAttemptAt?: Date;
  readonly lastAttemptAt?: Date;
}

/** One HTTP request. */
export interface Attempt {
  /** Counts up from 1 within the delivery. */
  readonly number: number;
  readonly startedAt: Date;
  readonly durationMs: number;
  /** The status of the answer; absent: there was none. */
  readonly responseStatus?: number;
  /** The beginning of the answer's body as text, at most 1,024 bytes of it. */
  readonly responseBody: string;
  /** What went wrong where there was no answer. */
  readonly error?: string;
}

/** A delivery with its requests. */
export interface DeliveryWithAttempts extends Delivery {
  /** The oldest first; the newest 100 where there are more. */
  readonly requests: readonly Attempt[];
}

export function parseState(state: unknown): State {
  return parseName('state', states, state) ?? State.UNSPECIFIED;
}

export function deliveryFromMessage(given: DeliveryMessage | undefined): Delivery {
  const message = requireMessage(given, 'delivery');
  const { eventId, replayId } = message;
  const previousSequence = toSafeInteger(message.previousSequence);
  return {
    id: message.id,
    endpointId: message.endpointId,
    workspaceId: message.workspaceId,
    ...(eventId !== '' && { eventId }),
    sequence: toSafeInteger(message.sequence),
    ...(previousSequence !== 0 && { previousSequence }),
    ...(replayId !== '' && { replayId }),
    state: nameOf<DeliveryState>(states, message.state),
    attempts: message.attempts,
    ...dateField('nextAttemptAt', message.nextAttemptAt),
    ...dateField('lastAttemptAt', message.lastAttemptAt),
  };
}

export function attemptFromMessage(given: AttemptMessage | undefined): Attempt {
  const message = requireMessage(given, 'attempt');
  const { responseStatus, error } = message;
  return {
    number: message.number,
    startedAt: requireDate(message.startedAt),
    durationMs: message.durationMs,
    ...(responseStatus !== 0 && { responseStatus }),
    responseBody: new TextDecoder().decode(message.responseBody),
    ...(error !== '' && { error }),
  };
}
