import type { Interceptor, Transport } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-web';
import { createNetworkFetch } from './network.ts';
import type { Settings } from './options.ts';

/**
 * Connect over fetch, with the API key on every call. Binary: the JSON.parse of Node 23 and later takes some
 * member names for others (nodejs/node#63785), and JSON would have numbers as text.
 */
export function createTransport(
  settings: Pick<Settings, 'baseUrl' | 'secretKey' | 'fetch'>,
): Transport {
  const authenticate: Interceptor = (next) => (request) => {
    request.header.set('authorization', `Bearer ${settings.secretKey}`);
    return next(request);
  };
  return createConnectTransport({
    baseUrl: settings.baseUrl,
    interceptors: [authenticate],
    fetch: createNetworkFetch(settings.fetch),
    useBinaryFormat: true,
  });
}
