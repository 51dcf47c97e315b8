import { Agent, type Dispatcher } from 'undici';
import type { WebhookRequest, WebhookResponse } from '../delivery/courier.ts';
import { AddressNotAllowed } from './dial.ts';

/** What is read of an answer, and what of that is kept. */
const readBytesMax = 64 * 1024;
const keptBytesMax = 1_024;
const headerBytesMax = 16 * 1024;
const idleMs = 20_000;

/** The HTTP client of webhooks. */
export interface HttpClient {
  /** Never rejects; ends within the time of the request, whatever the other side does. */
  post(request: WebhookRequest): Promise<WebhookResponse>;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** Follows no redirect, knows no proxy, inflates nothing. */
export function createHttpClient(connect: NonNullable<Agent.Options['connect']>): HttpClient {
  const agent = new Agent({
    connect,
    pipelining: 1,
    keepAliveTimeout: idleMs,
    keepAliveMaxTimeout: idleMs,
    maxHeaderSize: headerBytesMax,
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
    // The exchange has a time limit of its own, over all of it.
    headersTimeout: 0,
    bodyTimeout: 0,
  };
  try {
    agent.dispatch(options, exchange);
  } catch (error) {
    exchange.fail(error);
  }
}

/** One request and its answer. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #resolve: (response: WebhookResponse) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #kept: Buffer[] = [];
  #controller: Dispatcher.DispatchController | undefined;
  #status: number | undefined;
  #retryAfter: string | undefined;
  #readBytes = 0;
  #keptBytes = 0;
  #isOver = false;

  constructor(timeoutMs: number, resolve: (response: WebhookResponse) => void) {
    this.#resolve = resolve;
    this.#timer = setTimeout(() => this.#abort('timeout'), timeoutMs);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(new Error('the request has ended'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // Others come after those that only say "go on".
    if (status < 200) return;
    this.#status = status;
    const retryAfter = headers['retry-after'];
    this.#retryAfter = Array.isArray(retryAfter) ? retryAfter[0] : retryAfter;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const room = keptBytesMax - this.#keptBytes;
    if (room > 0) {
      // A copy, so that the piece as it came is not held for it.
      const kept = Buffer.from(chunk.subarray(0, room));
      this.#kept.push(kept);
      this.#keptBytes += kept.byteLength;
    }
    this.#readBytes += chunk.byteLength;
    if (this.#readBytes > readBytesMax) this.#abort('answer too long');
  }

  onResponseEnd(): void {
    this.#end('the connection was closed');
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(error);
  }

  fail(error: unknown): void {
    this.#end(describe(error));
  }

  /** What has come until now counts: a status is an answer, however its body goes on. */
  #abort(error: string): void {
    this.#end(error);
    this.#controller?.abort(new Error(error));
  }

  #end(error: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    if (this.#status === undefined) {
      this.#resolve({ kind: 'unanswered', error });
      return;
    }
    const body = Buffer.concat(this.#kept);
    this.#resolve({ kind: 'answered', status: this.#status, retryAfter: this.#retryAfter, body });
  }
}

const errors = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ECONNRESET', 'connection reset'],
  ['EPIPE', 'connection reset'],
  ['UND_ERR_SOCKET', 'connection closed'],
  ['UND_ERR_CONNECT_TIMEOUT', 'timeout while connecting'],
  ['ETIMEDOUT', 'timeout while connecting'],
  ['ENOTFOUND', 'name not found'],
  ['EAI_AGAIN', 'name not resolved'],
  ['EHOSTUNREACH', 'host unreachable'],
  ['ENETUNREACH', 'network unreachable'],
  ['UND_ERR_HEADERS_OVERFLOW', 'answer with too long headers'],
]);

/** What its owner is told: nothing of addresses, nor of anything else that the error's own text may hold. */
function describe(error: unknown): string {
  const cause = error instanceof AggregateError ? error.errors[0] : error;
  if (cause instanceof AddressNotAllowed) return 'address not allowed';
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (/^(ERR_TLS|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO|ERR_SSL|EPROTO)/.test(code))
    return 'TLS refused';
  if (code.startsWith('HPE_')) return 'answer that is not HTTP';
  return errors.get(code) ?? 'request failed';
}
