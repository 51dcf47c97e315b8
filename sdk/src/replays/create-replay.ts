import { type CreateOnceOptions, createOnceOptionNames, requestIdOf } from '../create-once.ts';
import {
  parseDate,
  parseInteger,
  parseSequence,
  parseTypePatterns,
  requireString,
} from '../events/request-fields.ts';
import { type Names, refuseUnknownFields } from '../known-names.ts';
import { parseRequestOptions } from '../options.ts';
import type { WebhooksDeps } from '../webhook-endpoints/webhook-endpoints.ts';
import { type Replay, replayFromMessage } from './replay-messages.ts';

/** A range of an endpoint's log; without bounds, all that is kept. */
export interface ReplayRange {
  /** The endpoint: whe_… */
  readonly endpointId: string;
  /** The range begins after this sequence; absent or 0: with the first that is kept. */
  readonly afterSequence?: number | undefined;
  /** The last sequence of the range; absent: the newest there is. */
  readonly untilSequence?: number | undefined;
  /** Only events created after this time. */
  readonly createdAfter?: Date | undefined;
  /** Only events created before this time. */
  readonly createdBefore?: Date | undefined;
}

/** @internal */
export const replayRangeNames = {
  endpointId: true,
  afterSequence: true,
  untilSequence: true,
  createdAfter: true,
  createdBefore: true,
} satisfies Names<ReplayRange>;

/** What to send again. */
export interface NewReplay extends ReplayRange {
  /** Only events whose type matches one of these, and one of the endpoint's. */
  readonly typePatterns?: readonly string[] | undefined;
  /** Only events whose delivery to the endpoint has failed, as far back as deliveries are kept. */
  readonly onlyFailed?: boolean | undefined;
  /** Requests a second, 1–10,000; default: the endpoint's limit alone. */
  readonly maxPerSecond?: number | undefined;
}

const newReplayNames = {
  ...replayRangeNames,
  typePatterns: true,
  onlyFailed: true,
  maxPerSecond: true,
} satisfies Names<NewReplay>;

/** @internal */
export async function createReplay(
  { client, call }: WebhooksDeps,
  replay: NewReplay,
  options: CreateOnceOptions,
): Promise<Replay> {
  const common = parseRequestOptions(options, createOnceOptionNames);
  const request = { ...replayToMessage(replay), requestId: requestIdOf(options) };
  const answer = await call((attempt) => client.createReplay(request, attempt), common);
  return replayFromMessage(answer.replay);
}

/** @internal */
export function replayToMessage(replay: NewReplay) {
  refuseUnknownFields(replay, newReplayNames, createOnceOptionNames);
  const { afterSequence, untilSequence, onlyFailed, maxPerSecond } = replay;
  return {
    endpointId: requireString('endpointId', replay.endpointId),
    afterSequence: BigInt(parseSequence('afterSequence', afterSequence) ?? 0),
    untilSequence: BigInt(parseSequence('untilSequence', untilSequence) ?? 0),
    ...parseDate('createdAfter', replay.createdAfter),
    ...parseDate('createdBefore', replay.createdBefore),
    typePatterns: parseTypePatterns({ typePatterns: replay.typePatterns }),
    onlyFailed: onlyFailed === true,
    maxPerSecond: parseInteger('maxPerSecond', maxPerSecond, { min: 1, max: 10_000 }) ?? 0,
  };
}
