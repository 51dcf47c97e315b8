import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';

export interface Http2Sessions {
  /** Hands a connection over to HTTP/2. */
  begin(socket: Socket): void;
  /**
   * For proxies that use a connection for one call at a time, as nginx does, and send no call again: an idle connection is
   * asked for a sign of life, on which they let go of it; one that is used all the same is told with that call that it is the
   * last one. Peers with several calls at once hear of it by `close`.
   */
  beginClosing(): void;
  /** GOAWAY to every peer: calls in flight go on, what it sends before it hears of that is refused unread. */
  close(): void;
}

export interface Http2SessionTimes {
  /** A connection without a call ends after this time, and one whose peer says nothing although it was asked. */
  readonly idleMs: number;
  /** A peer that has not taken our settings by then never will. */
  readonly settingsMs: number;
}

interface Watched {
  readonly socket: Socket;
  readonly beganAtMs: number;
  streams: number;
  /** Since when it has no stream, or its peer has said nothing. */
  quietSinceMs: number;
  bytesRead: number;
}

/**
 * Ends sessions that are of no use, whatever their peers do to keep them. Node's own idle limit does not: a
 * session that is closed waits for its streams, and any ping prolongs it. Here pings of a peer without a
 * stream count for nothing; a peer with streams is asked by a ping of ours, which every client answers, so
 * that streams with nothing to say go on for days.
 */
export function watchSessions(http2: Http2Server, times: Http2SessionTimes): Http2Sessions {
  const sessions = new Map<ServerHttp2Session, Watched>();
  const { idleMs, settingsMs } = times;
  const roundMs = Math.min(1_000, idleMs / 8, settingsMs / 4);
  let timer: NodeJS.Timeout | undefined;
  let isClosing = false;

  function watch(): void {
    const nowMs = performance.now();
    for (const [session, watched] of sessions) {
      if (isLost(session, watched, nowMs)) end(session, watched);
      else if (session.destroyed) continue;
      else if (watched.streams > 0) askWhetherAlive(session, watched, nowMs);
      else if (nowMs - watched.quietSinceMs > idleMs) session.close();
    }
    if (sessions.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  /** What Node still has to say is not waited for: nobody reads it. */
  function end(session: ServerHttp2Session, { socket }: Watched): void {
    session.destroy();
    socket.destroy();
  }

  function isLost(session: ServerHttp2Session, watched: Watched, nowMs: number): boolean {
    const quietMs = nowMs - watched.quietSinceMs;
    if (session.pendingSettingsAck && nowMs - watched.beganAtMs > settingsMs) return true;
    // A peer that reads nothing does not take the GOAWAY either, for which a closed session waits.
    return quietMs > idleMs + 2 * roundMs;
  }

  function askWhetherAlive(session: ServerHttp2Session, watched: Watched, nowMs: number): void {
    const { bytesRead } = watched.socket;
    if (bytesRead !== watched.bytesRead) {
      watched.bytesRead = bytesRead;
      watched.quietSinceMs = nowMs;
    } else if (nowMs - watched.quietSinceMs > idleMs / 2) session.ping(() => undefined);
  }

  let begun: Socket | undefined;
  http2.on('session', (session) => {
    const nowMs = performance.now();
    // That of the session itself does not let itself be destroyed.
    const socket = begun ?? session.socket;
    sessions.set(session, {
      socket,
      beganAtMs: nowMs,
      streams: 0,
      quietSinceMs: nowMs,
      bytesRead: 0,
    });
    session.once('close', () => sessions.delete(session));
    timer ??= setInterval(watch, roundMs).unref();
  });
  http2.on('stream', (stream) => {
    const watched = stream.session && sessions.get(stream.session as ServerHttp2Session);
    if (watched === undefined) return;
    watched.streams++;
    // Before the answer: after it the next call may be on its way.
    if (isClosing && watched.streams === 1) stream.session?.close();
    stream.once('close', () => {
      watched.streams--;
      if (watched.streams === 0) watched.quietSinceMs = performance.now();
    });
  });

  return {
    begin(socket) {
      begun = socket;
      http2.emit('connection', socket);
      begun = undefined;
    },
    beginClosing() {
      isClosing = true;
      for (const [session, { streams }] of sessions) {
        if (streams === 0 && !session.destroyed) session.ping(() => undefined);
      }
    },
    close() {
      for (const session of sessions.keys()) session.close();
    },
  };
}
