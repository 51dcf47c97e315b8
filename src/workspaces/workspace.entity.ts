import { defineEntity, p } from '@mikro-orm/core';

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
  },
});
