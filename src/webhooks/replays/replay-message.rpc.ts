import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type ReplaySchema,
  ReplayState as State,
} from '../../../gen/typescript/harbor/webhooks/v1/replay_pb.ts';
import type {
  CreateReplayRequest,
  RetryDeliveriesRequest,
} from '../../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { toPeriod } from '../../timestamp.ts';
import { ReplayRangeReversed } from '../webhook-errors.ts';
import type { Replay, ReplayState } from './replay.ts';
import type { AskedRange } from './replay-range.ts';

const states = {
  running: State.RUNNING,
  paused: State.PAUSED,
  done: State.DONE,
  cancelled: State.CANCELLED,
} as const satisfies Record<ReplayState, State>;

export function toReplayMessage(replay: Replay): MessageInitShape<typeof ReplaySchema> {
  const { endedAt } = replay;
  return {
    id: replay.id,
    endpointId: replay.endpointId,
    workspaceId: replay.workspaceId,
    firstSequence: BigInt(replay.firstSequence),
    lastSequence: BigInt(replay.lastSequence),
    typePatterns: [...replay.typePatterns],
    onlyFailed: replay.onlyFailed,
    maxPerSecond: replay.maxPerSecond ?? 0,
    state: states[replay.state],
    position: BigInt(replay.position),
    succeeded: BigInt(replay.succeeded),
    failed: BigInt(replay.failed),
    unfinished: BigInt(replay.unfinished),
    createdAt: timestampFromDate(replay.createdAt),
    ...(endedAt && { endedAt: timestampFromDate(endedAt) }),
    apiKeyId: replay.apiKeyId ?? '',
  };
}

/** @throws TimeOutOfRange, ReplayRangeReversed */
export function toAskedRange(request: CreateReplayRequest | RetryDeliveriesRequest): AskedRange {
  const afterSequence = Number(request.afterSequence);
  const untilSequence = Number(request.untilSequence);
  if (untilSequence !== 0 && untilSequence < afterSequence) throw new ReplayRangeReversed();
  return { afterSequence, untilSequence, ...toPeriod(request) };
}
