import { createContextKey } from '@connectrpc/connect';

/** Where the request gate leaves the id of a call, by which its line in the log is found. */
export const requestIdKey = createContextKey<string>('', { description: 'the id of the request' });
