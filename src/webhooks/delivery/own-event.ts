import type { OwnEvent } from '../../events/index.ts';
import { idOf } from '../../type-id.ts';

/** What every change that a workspace is told of returns of its endpoint; `at` is when it happened, to the microsecond. */
export interface ToldRow {
  readonly workspace_id: string;
  readonly url: string;
  readonly at: string;
}

export interface Told {
  /** A UUID. */
  readonly endpointId: string;
  readonly row: ToldRow;
  readonly payload: Record<string, string | number>;
}

/** The change happens once, at its time: with that the event's key is another one for each. */
export function toOwnEvent(name: string, { endpointId, row, payload }: Told): OwnEvent {
  return {
    workspaceId: row.workspace_id,
    type: `harbor.webhook_endpoint.${name}`,
    payload: { endpoint_id: idOf('whe', endpointId), url: row.url, ...payload },
    key: `webhook_endpoint.${name} ${endpointId} ${row.at}`,
  };
}
