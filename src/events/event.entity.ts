import { defineEntity, p } from '@mikro-orm/core';

/**
 * A row of `events`: written once by the append, changed by an erasure alone (a trigger refuses all else). The
 * table has a partition for each period of time; each of them holds a sequence of a workspace once.
 */
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
    /** Bytes of payload, subject and metadata, so that a page can be cut before they are read. */
    payloadBytes: p.integer(),
    /** Never decreases with the sequence, so that a time is a place in the log. */
    createdAt: p.datetime(3),
    /** What the event is about. */
    subject: p.text().collation('C').nullable(),
    // As text: a Date would lose the microseconds.
    occurredAt: p.string().columnType('timestamptz(6)').nullable(),
    /** An object of strings, as it was accepted. */
    metadata: p.json().$type<Record<string, string>>().columnType('json').nullable(),
    /** The key that recorded it. */
    apiKeyId: p.uuid().nullable(),
    /** A W3C `traceparent`; never shown. */
    traceContext: p.text().nullable(),
    /** When its content was taken away. */
    erasedAt: p.datetime(3).nullable(),
  },
  indexes: [
    {
      name: 'events_type_index',
      properties: ['workspaceId', 'type', 'sequence'],
      include: 'id',
    },
    {
      name: 'events_subject_index',
      properties: ['workspaceId', 'subject', 'sequence'],
      include: ['id', 'type'],
      where: 'subject is not null',
    },
  ],
});
