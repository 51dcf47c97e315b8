import { type ClientHttp2Session, connect } from 'node:http2';
import { newSecret } from '../../src/api-keys/index.ts';
import type { Flood } from './flood.ts';

/** 16 × 128 calls at once. */
const sessionsCount = 16;
const streamsPerSession = 120;
const tickMs = 10;

/** Sends calls with a new key each, as its parent says, until that says stop or ends. */
process.once('message', ({ port, perSecond, wellFormed }: Flood) => {
  const sessions = Array.from({ length: sessionsCount }, () => ({
    session: connect(`http://127.0.0.1:${port}`),
    inFlight: 0,
  }));
  let answered = 0;
  let turn = 0;
  const startedAt = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) * perSecond) / 1000);
    for (; sent < due; sent++) {
      const place = sessions[turn++ % sessionsCount] as {
        session: ClientHttp2Session;
        inFlight: number;
      };
      // What cannot be sent in time is not sent later.
      if (place.inFlight >= streamsPerSession) continue;
      place.inFlight++;
      const call = place.session.request({
        ':method': 'POST',
        ':path': '/harbor.events.v1.EventsService/CreateEvent',
        'content-type': 'application/grpc+proto',
        te: 'trailers',
        authorization: `Bearer ${wellFormed ? newSecret('secret') : withBadChecksum()}`,
      });
      call.on('error', () => undefined);
      call.once('response', () => answered++);
      call.once('close', () => place.inFlight--);
      call.resume();
      call.end();
    }
  }, tickMs);
  process.once('message', () => {
    clearInterval(timer);
    process.send?.({ answered, ms: performance.now() - startedAt });
  });
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);

function withBadChecksum(): string {
  const secret = newSecret('secret');
  return secret.slice(0, -1) + (secret.endsWith('0') ? '1' : '0');
}
