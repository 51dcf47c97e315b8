import { createContextKey } from '@connectrpc/connect';
import type { Subscription } from './subscription.ts';

/**
 * Where SubscribeEvents leaves the subscription that it has opened, for whoever writes the answer. What a
 * handler yields goes through the whole pipeline of its protocol, which would hold 30 KB for each stream
 * and write each event anew for every subscriber.
 */
export const openedStreamKey = createContextKey<Subscription | undefined>(undefined, {
  description: 'the subscription that goes on after its call was accepted',
});
