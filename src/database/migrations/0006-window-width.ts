import { type Migration, statements } from './migration.ts';

/** Windows that hold more than is on its way at once. */
export const windowWidth: Migration = {
  name: '0006-window-width',
  // An earlier program takes all of a window to be on its way: for some time it lets more of its endpoint's requests go at once.
  worksFrom: '0004-webhooks',
  steps: [
    statements(
      'width',
      // Requests of a window that may be on their way at once; null: as many as it has.
      'alter table webhook_windows add column width integer null',
    ),
  ],
};
