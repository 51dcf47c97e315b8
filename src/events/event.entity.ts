import { defineEntity, p } from '@mikro-orm/core';

/** A row of `events`: written once by the append, never updated (a trigger refuses it). */
export const EventEntity = defineEntity({
  name: 'Event',
  tableName: 'events',
  properties: {
    id: p.uuid().primary(),
    workspaceId: p.text().collation('C').primary(),
    sequence: p.bigint('number'),
    type: p.text().collation('C'),
    // `json` and not `jsonb`: the bytes that were accepted are the bytes that are kept.
    payload: p.json().columnType('json'),
    createdAt: p.datetime(3),
  },
  uniques: [{ name: 'events_workspace_id_sequence_key', properties: ['workspaceId', 'sequence'] }],
});
