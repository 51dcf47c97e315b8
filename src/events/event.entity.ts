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
    /** Bytes of the compact JSON, so that a page can be cut before its payloads are read. */
    payloadBytes: p.integer(),
    /** Never decreases with the sequence, so that a time is a place in the log. */
    createdAt: p.datetime(3),
  },
  indexes: [
    {
      name: 'events_workspace_id_type_sequence_index',
      properties: ['workspaceId', 'type', 'sequence'],
    },
  ],
  uniques: [{ name: 'events_workspace_id_sequence_key', properties: ['workspaceId', 'sequence'] }],
});
