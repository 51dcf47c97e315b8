import { Code, ConnectError } from '@connectrpc/connect';
import type { Compression } from '@connectrpc/connect/protocol';
import { CompressionUndeclared } from '../errors/request-errors.ts';
import {
  compressedFlag,
  compressionNegotiate,
  type EnvelopedMessage,
  transformSplitEnvelope,
} from '../rpc/connect-internals.ts';

/** How the request of a stream is written, and its answer will be. */
export interface StreamForm {
  readonly protocol: StreamProtocol;
  /** That of the answer. */
  readonly contentType: string;
  readonly isBinary: boolean;
}

/** In what gRPC, gRPC-Web and Connect differ, where they write streams. */
export interface StreamProtocol {
  readonly encodingHeader: string;
  readonly acceptEncodingHeader: string;
  /** Marks an envelope that holds no message: what a client may send as its last. */
  readonly endFlag: number;
  /** gRPC tells in trailers how a call has ended, the others in the last envelope. */
  readonly hasTrailer: boolean;
}

const ofGrpc = { encodingHeader: 'grpc-encoding', acceptEncodingHeader: 'grpc-accept-encoding' };
const protocols = new Map<string, StreamProtocol>([
  ['grpc', { ...ofGrpc, endFlag: 0, hasTrailer: true }],
  ['grpc-web', { ...ofGrpc, endFlag: 0b1000_0000, hasTrailer: false }],
  [
    'connect',
    {
      encodingHeader: 'connect-content-encoding',
      acceptEncodingHeader: 'connect-accept-encoding',
      endFlag: 0b10,
      hasTrailer: false,
    },
  ],
]);

/** Undefined for a content type that is none of a stream. */
export function findStreamForm(contentType: string | null): StreamForm | undefined {
  const [, name = '', json, proto] =
    /^application\/(grpc|grpc-web|connect)(?:\+(?:(json)(?:; ?charset=utf-?8)?|(proto)))?$/i.exec(
      contentType ?? '',
    ) ?? [];
  const protocol = protocols.get(name.toLowerCase());
  if (protocol === undefined) return undefined;
  // gRPC means protobuf where it says nothing.
  if (name.toLowerCase() === 'connect' && json === undefined && proto === undefined)
    return undefined;
  const codec = json === undefined ? 'proto' : 'json';
  return {
    protocol,
    contentType: `application/${name.toLowerCase()}+${codec}`,
    isBinary: codec === 'proto',
  };
}

export interface StreamRequestLimits {
  /** As sent and as inflated. */
  readonly bytesMax: number;
  readonly compressions: readonly Compression[];
}

/**
 * The one message of a request, inflated.
 *
 * @throws CompressionUndeclared, or the ConnectError that says what is wrong with it.
 */
export async function readMessage(
  { protocol }: StreamForm,
  { header, body }: { readonly header: Headers; readonly body: AsyncIterable<Uint8Array> },
  { bytesMax, compressions }: StreamRequestLimits,
): Promise<Uint8Array> {
  const encoding = header.get(protocol.encodingHeader);
  const { request: compression, error } = compressionNegotiate(
    [...compressions],
    encoding,
    null,
    protocol.acceptEncodingHeader,
  );
  if (error !== undefined) throw error;
  const envelopes: EnvelopedMessage[] = [];
  for await (const envelope of transformSplitEnvelope(bytesMax)(body)) {
    if ((envelope.flags & protocol.endFlag) === 0) envelopes.push(envelope);
  }
  const [envelope, ...more] = envelopes;
  if (envelope === undefined || more.length > 0) {
    const text = `protocol error: expected one message, received ${envelopes.length}`;
    throw new ConnectError(text, Code.Unimplemented);
  }
  const { flags, data } = envelope;
  if ((flags & compressedFlag) === 0) return data;
  if (compression === null) throw new CompressionUndeclared();
  return compression.decompress(data, bytesMax);
}
