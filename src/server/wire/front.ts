import { randomUUID } from 'node:crypto';
import { createServer as createHttp1Server, type Server as Http1Server } from 'node:http';
import { createServer as createHttp2Server, type Http2Server } from 'node:http2';
import { createServer as createNetServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay, setImmediate as immediate } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import {
  bodyTimeoutMs,
  connectionsMax,
  headerListBytesMax,
  headerListPairsMax,
  headersTimeoutMs,
  idleTimeoutMs,
  streamsPerSessionMax,
} from '../limits.ts';
import { watchSessions } from './http2-sessions.ts';

/** One port that speaks HTTP/1.1 and HTTP/2, in plain text or over TLS. */
export interface Front {
  readonly http1: Http1Server;
  readonly http2: Http2Server;
  /** Those that are open. */
  readonly connections: number;
  /** Aborts when the front closes: answers over HTTP/1.1 then end their connection. */
  readonly closing: AbortSignal;
  /** @throws when the port is taken (EADDRINUSE) or the host is not ours. */
  listen(host: string, port: number): Promise<{ readonly host: string; readonly port: number }>;
  /**
   * Takes no more connections and no more calls on those there are; calls in flight go on. Resolves
   * when every connection has ended.
   */
  close(): Promise<void>;
  /** Ends every connection at once. */
  destroy(): void;
}

/** HTTP/2 begins with this preface; no method of HTTP/1.1 begins like it. */
const http2Preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** The network is asked for a peer that has said nothing for this time. */
const keepAliveMs = 60_000;
/** Connections that say nothing may still have a request on its way: they end after this time. */
const quietMs = 500;

/** Beside a listener of its own: what a test may shorten. */
export interface FrontTimes {
  readonly idleMs: number;
  /** Between a connection and the end of its TLS handshake, and between that and the first bytes. */
  readonly beginMs: number;
}

const usualTimes: FrontTimes = { idleMs: idleTimeoutMs, beginMs: headersTimeoutMs };

export function createFront(
  tls: { cert: string; key: string } | undefined,
  { idleMs, beginMs }: FrontTimes = usualTimes,
): Front {
  const http1 = createHttp1();
  const http2 = createHttp2();
  /** Over TLS, the connections beneath: one is there before its handshake, and may never come to that. */
  const sockets = new Set<Socket>();
  const sessions = watchSessions(http2, { idleMs, settingsMs: beginMs });
  const closing = new AbortController();

  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    // Finds a peer that is gone without a word, also while there is nothing to say to it.
    socket.setKeepAlive(true, keepAliveMs);
  };
  const speak = (socket: Socket) => {
    socket.on('error', () => socket.destroy());
    readPreface(socket, beginMs, (isHttp2) => {
      if (isHttp2) sessions.begin(socket);
      else http1.emit('connection', socket);
    });
  };
  const front: Server = tls ? createTls(tls, beginMs) : createNetServer();
  front.on('connection', track);
  front.on(tls ? 'secureConnection' : 'connection', speak);
  front.maxConnections = connectionsMax;

  return {
    http1,
    http2,
    get connections() {
      return sockets.size;
    },
    listen: (host, port) => listen(front, host, port),
    closing: closing.signal,
    async close() {
      closing.abort();
      sessions.beginClosing();
      const closed = new Promise((resolve) => front.close(resolve));
      await delay(quietMs);
      // What has come in meanwhile is read first: a connection with a request is not idle.
      await immediate();
      // HTTP/1.1: idle connections end now, the others with their answer.
      http1.close();
      // HTTP/2: GOAWAY; what a client sends before it hears of that is refused unread (REFUSED_STREAM).
      sessions.close();
      await closed;
    },
    destroy() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function createHttp1(): Http1Server {
  const server = createHttp1Server({
    headersTimeout: headersTimeoutMs,
    requestTimeout: bodyTimeoutMs,
    keepAliveTimeout: idleTimeoutMs,
    connectionsCheckingInterval: 1_000,
    // Refused by the exchange, with an answer that says why.
    requireHostHeader: false,
  });
  server.maxRequestsPerSocket = 0;
  server.on('clientError', (_error, socket) => {
    const head = `HTTP/1.1 400 Bad Request\r\nx-request-id: ${randomUUID()}\r\n`;
    if (socket.writable) socket.end(`${head}content-length: 0\r\nconnection: close\r\n\r\n`);
    else socket.destroy();
  });
  // What nobody knows need not be met. Node would answer 417 by itself: without an id, and unseen by log and metrics.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  // It listens on no port of its own, and begins to watch its time limits only when told so.
  server.emit('listening');
  return server;
}

function createHttp2(): Http2Server {
  const server = createHttp2Server({
    settings: {
      maxConcurrentStreams: streamsPerSessionMax,
      initialWindowSize: 1024 * 1024,
      maxHeaderListSize: headerListBytesMax,
    },
    maxHeaderListPairs: headerListPairsMax,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
  });
  server.on('sessionError', (_error, session) => session.destroy());
  return server;
}

function createTls(tls: { cert: string; key: string }, handshakeTimeout: number): Server {
  const server = createTlsServer({
    ...tls,
    ALPNProtocols: ['h2', 'http/1.1'],
    minVersion: 'TLSv1.2',
    handshakeTimeout,
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  return server;
}

/** Reads the first bytes of a connection, puts them back, and tells whether they ask for HTTP/2. */
function readPreface(
  socket: Socket,
  timeoutMs: number,
  handOver: (isHttp2: boolean) => void,
): void {
  socket.setNoDelay(true);
  socket.setTimeout(timeoutMs, () => socket.destroy());
  let seen = Buffer.alloc(0);
  const onReadable = () => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
      seen = Buffer.concat([seen, chunk]);
    }
    if (seen.length === 0) return;
    const compared = Math.min(seen.length, http2Preface.length);
    const isHttp2 = seen.compare(http2Preface, 0, compared, 0, compared) === 0;
    // A beginning of the preface may still become either.
    if (isHttp2 && compared < http2Preface.length) return;
    socket.off('readable', onReadable);
    socket.setTimeout(0);
    socket.removeAllListeners('timeout');
    socket.unshift(seen);
    handOver(isHttp2);
  };
  socket.on('readable', onReadable);
}

function listen(
  front: Server,
  host: string,
  port: number,
): Promise<{ readonly host: string; readonly port: number }> {
  return new Promise((resolve, reject) => {
    front.once('error', reject);
    front.listen({ host, port, backlog: 1024 }, () => {
      front.off('error', reject);
      front.on('error', () => undefined);
      const address = front.address();
      const actual = typeof address === 'object' && address !== null ? address.port : port;
      resolve({ host, port: actual });
    });
  });
}
