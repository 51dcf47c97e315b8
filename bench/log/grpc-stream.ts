import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { SubscribeEventsRequestSchema } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';

const windowBytes = 16 * 1024 * 1024;
const prefixBytes = 5;

export async function openSession(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`, {
    settings: { initialWindowSize: windowBytes },
  });
  await once(session, 'connect');
  session.setLocalWindowSize(windowBytes);
  return session;
}

/**
 * Subscribes over gRPC and tells of each message, undecoded: a client that costs next to nothing, so that
 * what is measured is the service. Ends by throwing, since the stream never ends by itself.
 */
export async function subscribe(
  session: ClientHttp2Session,
  secretKey: string,
  request: MessageInitShape<typeof SubscribeEventsRequestSchema>,
  onMessage: (message: Buffer) => void,
): Promise<never> {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/harbor.events.v1.EventsService/SubscribeEvents',
    authorization: `Bearer ${secretKey}`,
    'content-type': 'application/grpc+proto',
    te: 'trailers',
  });
  const body = toBinary(
    SubscribeEventsRequestSchema,
    create(SubscribeEventsRequestSchema, request),
  );
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(body.byteLength, 1);
  stream.end(Buffer.concat([prefix, body]));
  let pending: Buffer = Buffer.alloc(0);
  let status: unknown;
  stream.on('response', (headers) => {
    status = headers['grpc-status'] ?? headers[':status'];
  });
  stream.on('trailers', (trailers) => {
    status = trailers['grpc-status'];
  });
  for await (const chunk of stream) {
    pending = takeMessages(
      pending.length === 0 ? chunk : Buffer.concat([pending, chunk]),
      onMessage,
    );
  }
  throw new Error(`a stream has ended with status ${status}`);
}

/** Returns what is left: the beginning of a message. */
function takeMessages(bytes: Buffer, onMessage: (message: Buffer) => void): Buffer {
  let at = 0;
  while (bytes.length - at >= prefixBytes) {
    const end = at + prefixBytes + bytes.readUInt32BE(at + 1);
    if (end > bytes.length) break;
    onMessage(bytes.subarray(at + prefixBytes, end));
    at = end;
  }
  return bytes.subarray(at);
}
