import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import { rateLimitColumns, toRateLimits } from '../rate-limits/rate-limit-columns.entity.ts';
import type { Workspace } from './workspace.ts';

/** A row of `workspaces`; `lastSequence` and `lastEventAt` are changed by the append alone, under the row's lock. */
export const WorkspaceEntity = defineEntity({
  name: 'Workspace',
  tableName: 'workspaces',
  properties: {
    id: p.text().collation('C').primary(),
    displayName: p.text(),
    lastSequence: p.bigint('number').defaultRaw('0'),
    /** `created_at` of the newest event. */
    lastEventAt: p.datetime(3).nullable(),
    createdAt: p.datetime(3),
    /** How long its events are kept; null: for ever. */
    retentionDays: p.integer().nullable(),
    /** The floor: the first sequence that is kept, or one past the last where none is. */
    firstSequence: p.bigint('number').defaultRaw('1'),
    /** Raised by whatever changes events that readers may have kept. */
    revision: p.bigint('number').defaultRaw('0'),
    deletedAt: p.datetime(3).nullable(),
    ...rateLimitColumns(),
  },
  indexes: [
    {
      name: 'workspaces_retained_index',
      properties: ['id'],
      where: 'retention_days is not null or first_sequence > 1 or deleted_at is not null',
    },
  ],
});

export type WorkspaceRow = InferEntity<typeof WorkspaceEntity>;

export function toWorkspace(row: WorkspaceRow): Workspace {
  const { id, displayName, lastSequence, firstSequence, retentionDays, createdAt } = row;
  return {
    id,
    displayName,
    lastSequence,
    firstSequence,
    retentionDays: retentionDays ?? undefined,
    createdAt,
    rateLimits: toRateLimits(row),
  };
}
