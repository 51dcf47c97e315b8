/** What has become of a replay. */
export type ReplayState = 'running' | 'paused' | 'done' | 'cancelled';

/** What a caller wants to be sent again; the range is that of the log by now. */
export interface NewReplay {
  readonly endpointId: string;
  readonly workspaceId: string;
  /** After this sequence. */
  readonly low: number;
  /** Up to and including this one; `low` itself for an empty range. */
  readonly high: number;
  /** Within those of the endpoint; empty: all of them. */
  readonly typePatterns: readonly string[];
  /** Only what was given up for the endpoint. */
  readonly onlyFailed: boolean;
  /** Undefined: the endpoint's limit alone. */
  readonly maxPerSecond: number | undefined;
}

/** A replay, and how far it is. */
export interface Replay extends Omit<NewReplay, 'low' | 'high'> {
  /** `rpl_…`. */
  readonly id: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly state: ReplayState;
  /** Up to here the range was gone through. */
  readonly position: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly unfinished: number;
  readonly createdAt: Date;
  readonly endedAt: Date | undefined;
  readonly apiKeyId: string | undefined;
}

/** In a workspace, running or paused. */
export const replaysMax = 10;
