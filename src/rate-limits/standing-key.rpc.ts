import { createContextKey } from '@connectrpc/connect';
import type { Standing } from './standing.ts';

/** Where gate and handlers leave how the limits of a call stand, for whoever writes that into its answer. */
export const standingKey = createContextKey<(() => Standing[]) | undefined>(undefined, {
  description: 'how the rate limits of the call stand',
});
