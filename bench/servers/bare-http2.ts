import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createNetServer } from 'node:net';

/**
 * The floor: an HTTP/2 server of Node that reads each request and sends its bytes back. It knows no protocol, no key, no
 * message and no log. (By HTTP/1.1 it says that it lives, which is all that is asked for there.)
 */
const http1 = createServer((_request, response) => response.end());
const http2 = createHttp2Server({ settings: { maxConcurrentStreams: 128 } });
http2.on('stream', (stream) => {
  const pieces: Buffer[] = [];
  stream.on('error', () => undefined);
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  stream.on('end', () => {
    const body = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
    stream.respond({
      ':status': 200,
      'content-type': 'application/json',
      'content-length': body.byteLength,
    });
    stream.end(body);
  });
});

/** No method of HTTP/1.1 begins with a P and an R. */
const beginsHttp2 = (bytes: Buffer) => bytes.toString('latin1', 0, 2) === 'PR';

createNetServer((socket) => {
  socket.on('error', () => undefined);
  socket.once('readable', () => {
    const bytes: Buffer | null = socket.read();
    if (bytes === null) return;
    socket.unshift(bytes);
    (beginsHttp2(bytes) ? http2 : http1).emit('connection', socket);
  });
}).listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
