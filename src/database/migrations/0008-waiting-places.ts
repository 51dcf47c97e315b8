import { type Migration, statements } from './migration.ts';

/** Windows that know what of them waits, or has waited, without a request. */
export const waitingPlaces: Migration = {
  name: '0008-waiting-places',
  // An earlier program writes nothing down here: what is cancelled of its windows may be sent all the same, as it was before.
  worksFrom: '0004-webhooks',
  steps: [
    statements(
      'waiting',
      // Places of deliveries that became work before they were sent; null: there are none.
      'alter table webhook_windows add column waiting integer[] null',
    ),
  ],
};
