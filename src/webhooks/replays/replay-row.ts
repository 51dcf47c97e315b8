import { idOf } from '../../type-id.ts';
import { dateOfMs } from '../row-time.ts';
import type { Replay, ReplayState } from './replay.ts';

/** A replay as statements return it. */
export interface ReplayRow {
  readonly id: string;
  readonly endpoint_id: string;
  readonly workspace_id: string;
  readonly first_sequence: number;
  readonly end_sequence: number;
  readonly type_patterns: string[];
  readonly only_failed: boolean;
  readonly max_per_second: number | null;
  readonly state: ReplayState;
  readonly position: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly unfinished: number;
  readonly created_at_ms: number;
  readonly ended_at_ms: number | null;
  readonly api_key_id: string | null;
}

export function toReplay(row: ReplayRow): Replay {
  return {
    id: idOf('rpl', row.id),
    endpointId: idOf('whe', row.endpoint_id),
    workspaceId: row.workspace_id,
    firstSequence: row.first_sequence,
    lastSequence: row.end_sequence,
    typePatterns: row.type_patterns,
    onlyFailed: row.only_failed,
    maxPerSecond: row.max_per_second ?? undefined,
    state: row.state,
    position: row.position,
    succeeded: row.succeeded,
    failed: row.failed,
    unfinished: row.unfinished,
    createdAt: new Date(row.created_at_ms),
    endedAt: dateOfMs(row.ended_at_ms),
    apiKeyId: row.api_key_id === null ? undefined : idOf('key', row.api_key_id),
  };
}
