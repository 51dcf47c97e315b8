import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { reportMemory } from './report-memory.ts';

/**
 * What Node itself takes for streams: an HTTP/2 server that reads each request, answers with one message
 * of gRPC without fields, and keeps the stream open. It knows no subscribers, no events, no keys.
 */
const server = createServer({ settings: { maxConcurrentStreams: 128 } });
server.on('stream', (stream) => {
  stream.on('error', () => undefined);
  stream.resume().on('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' });
    stream.write(Buffer.alloc(5));
  });
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
reportMemory((server.address() as AddressInfo).port);
