import { idOf } from '../type-id.ts';
import type { Event } from './event.ts';
import type { JsonObject } from './payload.ts';

/** The columns of an event as every statement returns them; see `toEvent`. */
export const eventColumns = `id, workspace_id, type, payload::text as payload_json,
  (extract(epoch from created_at) * 1000)::float8 as created_at_ms, sequence::float8 as sequence`;

export interface EventRow {
  readonly id: string;
  readonly workspace_id: string;
  readonly type: string;
  readonly payload_json: string;
  readonly created_at_ms: number;
  readonly sequence: number;
}

export function toEvent(row: EventRow): Event {
  return {
    id: idOf('evt', row.id),
    workspaceId: row.workspace_id,
    type: row.type,
    payload: JSON.parse(row.payload_json) as JsonObject,
    createdAt: new Date(row.created_at_ms),
    sequence: row.sequence,
  };
}
