import { type Migration, statements } from './migration.ts';

/** What the workspaces of webhook endpoints were told of events that retention takes from these. */
export const webhookLosses: Migration = {
  name: '0005-webhook-losses',
  worksFrom: '0003-partitions',
  steps: [
    // Up to warned_sequence it was told that events will be lost. Those of lost_first to lost_last, lost_count of them, are lost,
    // and that was not told yet; lost_told_at is when it last was.
    statements(
      'columns',
      `
      alter table webhook_cursors
        add column warned_sequence bigint not null default 0,
        add column lost_first bigint null,
        add column lost_last bigint null,
        add column lost_count bigint not null default 0,
        add column lost_told_at timestamptz(3) null`,
    ),
  ],
};
