import { defineEntity, p } from '@mikro-orm/core';

/** A row of `workspaces`; `lastSequence` is changed by the append alone, under the row's lock. */
export const WorkspaceEntity = defineEntity({
  name: 'Workspace',
  tableName: 'workspaces',
  properties: {
    id: p.text().collation('C').primary(),
    displayName: p.text(),
    lastSequence: p.bigint('number').defaultRaw('0'),
    createdAt: p.datetime(3),
  },
});
