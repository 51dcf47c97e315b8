import { Agent, type Dispatcher } from 'undici';
import type { WebhookRequest, WebhookResponse } from '../delivery/courier.ts';
import { Exchange } from './exchange.ts';

const headerBytesMax = 16 * 1024;
/** Most servers keep an idle connection for 5 s or more; one that closes it while it is used costs a try. */
const idleMs = 4_000;
/** Where the other side says how long it keeps it. */
const idleMsMax = 20_000;

/** The HTTP client of webhooks. */
export interface HttpClient {
  /** Never rejects; ends within the time of the request, whatever the other side does. */
  post(request: WebhookRequest): Promise<WebhookResponse>;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** HTTP/1.1 that follows no redirect, knows no proxy, and inflates nothing. */
export function createHttpClient(connect: NonNullable<Agent.Options['connect']>): HttpClient {
  const agent = new Agent({
    connect,
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
    post: (request) => new Promise((resolve) => dispatch(agent, request, resolve)),
    close: () => agent.destroy(),
  };
}

function dispatch(
  agent: Agent,
  { url, headers, body, timeoutMs }: WebhookRequest,
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
  };
  try {
    agent.dispatch(options, exchange);
  } catch (error) {
    exchange.fail(error);
  }
}
