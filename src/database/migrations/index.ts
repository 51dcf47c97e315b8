import { events } from './0001-events.ts';
import { tenYears } from './0002-ten-years.ts';
import { partitions } from './0003-partitions.ts';
import { webhooks } from './0004-webhooks.ts';
import { webhookLosses } from './0005-webhook-losses.ts';
import { windowWidth } from './0006-window-width.ts';
import { rateLimits } from './0007-rate-limits.ts';
import { waitingPlaces } from './0008-waiting-places.ts';
import type { Migration } from './migration.ts';

/** Every migration in the order in which it runs. */
export const migrations: readonly Migration[] = [
  events,
  tenYears,
  partitions,
  webhooks,
  webhookLosses,
  windowWidth,
  rateLimits,
  waitingPlaces,
];
