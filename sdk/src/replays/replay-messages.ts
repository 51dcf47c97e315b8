import {
  type Replay as ReplayMessage,
  ReplayState as State,
} from '../../../gen/typescript/harbor/webhooks/v1/replay_pb.ts';
import { toSafeInteger } from '../events/from-message.ts';
import { dateField, nameOf, requireDate, requireMessage } from '../message-parts.ts';

const states = {
  running: State.RUNNING,
  paused: State.PAUSED,
  done: State.DONE,
  cancelled: State.CANCELLED,
} as const;

/** A past range of the log that is sent to an endpoint again, and how far that is. */
export interface Replay {
  /** rpl_ and 26 letters and digits: the header harbor-replay of its requests. */
  readonly id: string;
  readonly endpointId: string;
  readonly workspaceId: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Within those of the endpoint; empty: all of them. */
  readonly typePatterns: readonly string[];
  readonly onlyFailed: boolean;
  /** Absent: the endpoint's limit alone. */
  readonly maxPerSecond?: number;
  readonly state: 'running' | 'paused' | 'done' | 'cancelled';
  /** The range was gone through up to this sequence. */
  readonly position: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Deliveries that wait, or are being sent. */
  readonly unfinished: number;
  readonly createdAt: Date;
  readonly endedAt?: Date;
  readonly apiKeyId?: string;
}

export function replayFromMessage(given: ReplayMessage | undefined): Replay {
  const message = requireMessage(given, 'replay');
  const { maxPerSecond, apiKeyId } = message;
  return {
    id: message.id,
    endpointId: message.endpointId,
    workspaceId: message.workspaceId,
    firstSequence: toSafeInteger(message.firstSequence),
    lastSequence: toSafeInteger(message.lastSequence),
    typePatterns: message.typePatterns,
    onlyFailed: message.onlyFailed,
    ...(maxPerSecond !== 0 && { maxPerSecond }),
    state: nameOf<Replay['state']>(states, message.state),
    position: toSafeInteger(message.position),
    succeeded: toSafeInteger(message.succeeded),
    failed: toSafeInteger(message.failed),
    unfinished: toSafeInteger(message.unfinished),
    createdAt: requireDate(message.createdAt),
    ...dateField('endedAt', message.endedAt),
    ...(apiKeyId !== '' && { apiKeyId }),
  };
}
