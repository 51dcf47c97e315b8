import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

/** Where the metrics are to be read: a port of their own, without TLS and without a key. */
export interface MetricsPort {
  /** @throws when the port is taken (EADDRINUSE) or the host is not ours. */
  listen(host: string, port: number): Promise<{ readonly host: string; readonly port: number }>;
  /** Ends every connection; does nothing where it does not listen. */
  close(): Promise<void>;
}

export interface MetricsPortOptions {
  readonly read: () => Promise<string>;
  readonly contentType: string;
  /** Told of a read that has failed, which is answered with 500. */
  readonly onError: (error: unknown) => void;
}

/** Scrapers are few, and come twice a minute; what is beyond these is refused or ended. */
const connectionsMax = 32;
const headerBytesMax = 8 * 1024;
const headersTimeoutMs = 5_000;
/** Between two requests; longer than the minute in which most scrapers come back. */
const idleTimeoutMs = 75_000;
/** A scraper that does not take its answer. */
const answerTimeoutMs = 10_000;
/** Whoever asks again within this time is given the same text: asking often costs the service nothing. */
const freshMs = 500;

/** `GET /metrics`, within bounds on everything that a peer may do. */
export function createMetricsPort(options: MetricsPortOptions): MetricsPort {
  const server = createServer(
    {
      maxHeaderSize: headerBytesMax,
      headersTimeout: headersTimeoutMs,
      requestTimeout: headersTimeoutMs,
      keepAliveTimeout: idleTimeoutMs,
      connectionsCheckingInterval: 1_000,
    },
    createAnswer(options),
  );
  server.maxConnections = connectionsMax;

  return {
    listen(host, port) {
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port }, () => {
          server.off('error', reject);
          server.on('error', () => undefined);
          resolve({ host, port: (server.address() as AddressInfo).port });
        });
      });
    },
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function createAnswer({ read, contentType, onError }: MetricsPortOptions): RequestListener {
  let latest: { readonly text: Promise<string>; readonly readAtMs: number } | undefined;

  function readFresh(): Promise<string> {
    const nowMs = performance.now();
    if (latest === undefined || nowMs - latest.readAtMs > freshMs) {
      latest = { text: read(), readAtMs: nowMs };
    }
    return latest.text;
  }

  return async (request, response) => {
    response.setTimeout(answerTimeoutMs, () => response.destroy());
    response.on('error', () => undefined);
    const refusal = refuse(request);
    if (refusal !== undefined) return send(request, response, refusal);
    try {
      const body = await readFresh();
      send(request, response, { status: 200, headers: { 'content-type': contentType }, body });
    } catch (error) {
      onError(error);
      send(request, response, {
        status: 500,
        headers: plain,
        body: 'the metrics cannot be read\n',
      });
    }
  };
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const plain = { 'content-type': 'text/plain; charset=utf-8' };

function refuse({ method, url = '' }: IncomingMessage): Answer | undefined {
  if (method !== 'GET' && method !== 'HEAD') {
    const headers = { ...plain, allow: 'GET, HEAD' };
    return { status: 405, headers, body: 'allowed here: GET, HEAD\n' };
  }
  if (url.split('?', 1)[0] === '/metrics') return undefined;
  return { status: 404, headers: plain, body: 'the metrics are at /metrics\n' };
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  // Nobody reads a body here: what comes of one ends with its connection.
  const { headers } = request;
  const hasBody = 'content-length' in headers || 'transfer-encoding' in headers;
  if (hasBody) response.setHeader('connection', 'close');
  response.writeHead(answer.status, {
    ...answer.headers,
    'content-length': Buffer.byteLength(answer.body),
  });
  response.end(request.method === 'HEAD' ? undefined : answer.body);
}
