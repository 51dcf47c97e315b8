import type { RawSocket } from './raw-socket.ts';

/** HTTP/2 written by hand (RFC 9113), for what no client library would send. */
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
export const frameTypes = { data: 0, headers: 1, reset: 3, settings: 4, goAway: 7 } as const;
export const endStream = 0x1;
const endHeaders = 0x4;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

/** The first bytes of a client: preface and empty settings. */
export const opening = Buffer.concat([preface, frame(frameTypes.settings, 0, 0)]);

/** A HEADERS frame with literal fields, which Huffman and tables have not touched. */
export function headersFrame(
  streamId: number,
  fields: readonly (readonly [name: string, value: string])[],
  flags = 0,
): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.from(value, 'latin1');
    return Buffer.concat([hpackInteger(bytes.length), bytes]);
  };
  const block = fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]);
  return frame(frameTypes.headers, endHeaders | flags, streamId, Buffer.concat(block));
}

/** A length of up to 127 + 127 · 128 bytes, with a prefix of 7 bits. */
function hpackInteger(value: number): Buffer {
  if (value < 127) return Buffer.from([value]);
  const rest = value - 127;
  return rest < 128 ? Buffer.from([127, rest]) : Buffer.from([127, (rest & 127) | 128, rest >> 7]);
}

/** The fields of a gRPC call. */
export function grpcFields(
  path: string,
  { authority = 'localhost', secretKey = '' } = {},
): [string, string][] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', authority],
    ['content-type', 'application/grpc+proto'],
    ['te', 'trailers'],
    ...(secretKey === '' ? [] : [['authorization', `Bearer ${secretKey}`] as [string, string]]),
  ];
}

/** A message in the envelope of gRPC. */
export function grpcEnvelope(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** The complete frames that a connection has sent so far. */
export function framesOf(socket: RawSocket): Frame[] {
  const bytes = Buffer.from(socket.received(), 'latin1');
  const frames: Frame[] = [];
  for (let at = 0; at + 9 <= bytes.length; ) {
    const length = bytes.readUIntBE(at, 3);
    if (at + 9 + length > bytes.length) break;
    frames.push({
      type: bytes.readUInt8(at + 3),
      flags: bytes.readUInt8(at + 4),
      streamId: bytes.readUInt32BE(at + 5) & 0x7fffffff,
      payload: bytes.subarray(at + 9, at + 9 + length),
    });
    at += 9 + length;
  }
  return frames;
}
