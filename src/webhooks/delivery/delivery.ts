/** One event on its way to one endpoint; ids are UUIDs, as the database has them. */
export interface Delivery {
  readonly windowId: string;
  /** Its place in the window, from 0: both together are the delivery, over all tries and take-overs. */
  readonly place: number;
  readonly workspaceId: string;
  readonly cursorId: string;
  readonly endpointId: string;
  readonly eventId: string;
  /** Deliveries of a cursor with the same lane are sent one after another; undefined: it has no order. */
  readonly lane: string | undefined;
  readonly sequence: number;
  /** The match before it in the same cursor; 0 for none. */
  readonly previousSequence: number;
  /** The number of the request that is sent now, from 1. */
  readonly attempt: number;
  /** Requests that have failed before it, as the schedule counts them. */
  readonly tries: number;
  /** It is sent to see whether the endpoint answers again. */
  readonly isProbe: boolean;
}

/**
 * `parked` was not sent: another of its lane goes first. Nor was what is `put off`: its endpoint takes nothing for now, which
 * showed when others of its window were sent.
 */
export type Outcome = 'succeeded' | 'retry' | 'failed' | 'parked' | 'put off';

/** What came of a delivery's request. */
export interface Result {
  readonly delivery: Delivery;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly status: number | undefined;
  readonly error: string | undefined;
  readonly response: Buffer | undefined;
  readonly outcome: Outcome;
  /** When it is tried again; set for a retry, and for what is put off. */
  readonly afterMs: number | undefined;
  /** For how long the endpoint is to be sent nothing. */
  readonly holdMs: number | undefined;
}

/** Of a delivery that is claimed again before the last claim has ended, each by itself. */
export function keyOf({
  windowId,
  place,
  attempt,
}: Pick<Delivery, 'windowId' | 'place' | 'attempt'>): string {
  return `${windowId} ${place} ${attempt}`;
}

/** It waits until the one before it in its lane has ended. */
export function parked(delivery: Delivery): Result {
  return { ...unsent(delivery), outcome: 'parked', error: undefined };
}

/** It waits for its endpoint. */
export function putOff(delivery: Delivery, afterMs: number): Result {
  return { ...unsent(delivery), outcome: 'put off', error: undefined, afterMs };
}

/** The error of a delivery whose event retention has taken. */
export const noLongerKept = 'the event is no longer kept';

/** Retention has taken its event. */
export function expired(delivery: Delivery): Result {
  return { ...unsent(delivery), outcome: 'failed', error: noLongerKept };
}

function unsent(delivery: Delivery) {
  return {
    delivery,
    startedAt: new Date(),
    durationMs: 0,
    status: undefined,
    response: undefined,
    afterMs: undefined,
    holdMs: undefined,
  };
}
