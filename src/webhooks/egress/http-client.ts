import { Agent, type buildConnector, type Dispatcher } from 'undici';
import type { WebhookRequest, WebhookResponse } from '../delivery/courier.ts';
import { Exchange } from './exchange.ts';

const headerBytesMax = 16 * 1024;
/** Most servers keep an idle connection for 5 s or more; one that closes it while it is used costs a try. */
const idleMs = 4_000;
/** Where the other side says how long it keeps it. */
const idleMsMax = 20_000;

/**
 * Beyond so many open connections those that are used end with their answer: an idle one takes a file, and whoever has
 * requests go from one server of his to the next could leave any number of them behind.
 */
const keptMaxUsual = 4_096;

/** The HTTP client of webhooks. */
export interface HttpClient {
  /** Never rejects; ends within the time of the request, whatever the other side does. */
  post(request: WebhookRequest): Promise<WebhookResponse>;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** HTTP/1.1 that follows no redirect, knows no proxy, and inflates nothing. */
export function createHttpClient(
  connect: buildConnector.connector,
  { keptMax = keptMaxUsual }: { readonly keptMax?: number } = {},
): HttpClient {
  let open = 0;
  const agent = new Agent({
    connect: (target, callback) =>
      connect(target, (...connected) => {
        const [error, socket] = connected;
        if (error === null && socket !== null) {
          open++;
          socket.once('close', () => open--);
        }
        callback(...connected);
      }),
    allowH2: false,
    pipelining: 1,
    keepAliveTimeout: idleMs,
    keepAliveMaxTimeout: idleMsMax,
    maxHeaderSize: headerBytesMax,
    // An exchange has a time limit of its own, over all of it.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return {
    post: (request) =>
      new Promise((resolve) => dispatch(agent, { ...request, isLast: open > keptMax }, resolve)),
    close: () => agent.destroy(),
  };
}

function dispatch(
  agent: Agent,
  { url, headers, body, timeoutMs, isLast }: WebhookRequest & { readonly isLast: boolean },
  resolve: (response: WebhookResponse) => void,
): void {
  const { origin, pathname, search } = new URL(url);
  const exchange = new Exchange(timeoutMs, resolve);
  const options: Dispatcher.DispatchOptions = {
    origin,
    path: pathname + search,
    method: 'POST',
    headers: { ...headers },
    body,
    reset: isLast,
  };
  try {
    agent.dispatch(options, exchange);
  } catch (error) {
    exchange.fail(error);
  }
}
