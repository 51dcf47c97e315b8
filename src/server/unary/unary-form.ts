import type { ExchangeRequest } from '../wire/exchange.ts';

/** How a usual unary call is written, and its answer will be. */
export interface UnaryForm {
  readonly protocol: UnaryProtocol;
  /** That of the answer. */
  readonly contentType: string;
  readonly isBinary: boolean;
}

/** In what gRPC, gRPC-Web and Connect differ, where they write unary calls. */
export interface UnaryProtocol {
  readonly name: 'grpc' | 'grpc-web' | 'connect';
  readonly encodingHeader: string;
  readonly acceptEncodingHeader: string;
  /** Where it stands that a call went well; Connect says so by the status of HTTP. */
  readonly status: 'in trailers' | 'in the body' | 'nowhere';
}

const ofGrpc = { encodingHeader: 'grpc-encoding', acceptEncodingHeader: 'grpc-accept-encoding' };
const grpc: UnaryProtocol = { ...ofGrpc, name: 'grpc', status: 'in trailers' };
const grpcWeb: UnaryProtocol = { ...ofGrpc, name: 'grpc-web', status: 'in the body' };
const connect: UnaryProtocol = {
  name: 'connect',
  encodingHeader: 'content-encoding',
  acceptEncodingHeader: 'accept-encoding',
  status: 'nowhere',
};

/** By the content type as clients write it; whoever writes it in another way is answered by Connect. */
const forms = new Map(
  [
    ...enveloped(grpc, 'application/grpc'),
    ...enveloped(grpcWeb, 'application/grpc-web'),
    ...inJson(connect, 'application/json'),
    { protocol: connect, type: 'application/proto', contentType: 'application/proto' },
  ].map(({ protocol, type, contentType }): [string, UnaryForm] => [
    type,
    { protocol, contentType, isBinary: contentType.endsWith('proto') },
  ]),
);

/** Undefined for a call that is none of the usual ones: a GET, a request that is compressed, an odd content type. */
export function findUnaryForm({ method, header }: ExchangeRequest): UnaryForm | undefined {
  if (method !== 'POST') return undefined;
  const form = forms.get(header.get('content-type') ?? '');
  if (form === undefined) return undefined;
  const encoding = header.get(form.protocol.encodingHeader);
  return encoding === null || encoding === 'identity' ? form : undefined;
}

/** gRPC means protobuf where it says nothing. */
function enveloped(protocol: UnaryProtocol, name: string) {
  const contentType = `${name}+proto`;
  return [
    { protocol, type: name, contentType },
    { protocol, type: contentType, contentType },
    ...inJson(protocol, `${name}+json`),
  ];
}

function inJson(protocol: UnaryProtocol, contentType: string) {
  return ['', ';charset=utf-8', '; charset=utf-8'].map((charset) => ({
    protocol,
    type: `${contentType}${charset}`,
    contentType,
  }));
}
