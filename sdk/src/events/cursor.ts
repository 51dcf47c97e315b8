import { invalidResponse } from './from-message.ts';

/** The sequences of one message of a stream. */
export interface Step {
  /** Resume after this; also of messages that hold no event. */
  readonly sequence: number;
  /** The sequence of the event that the message holds. */
  readonly eventSequence?: number | undefined;
}

/**
 * The sequence to resume after, once a message was taken; `last` is that before, undefined: none yet.
 *
 * A stream moves on only. Throws InternalError (RESPONSE_INVALID) for an event that is not after `last`,
 * which would be handed out twice, and for a message that leads back.
 */
export function advance(last: number | undefined, { sequence, eventSequence }: Step): number {
  if (last !== undefined && eventSequence !== undefined && eventSequence <= last) {
    throw invalidResponse(`repeats sequence ${eventSequence} after ${last}`);
  }
  const floor = eventSequence ?? last ?? 0;
  if (sequence < floor) throw invalidResponse(`goes back to sequence ${sequence} after ${floor}`);
  return sequence;
}
