import { codeFromString, codeToString } from '@connectrpc/connect/protocol-connect';
import { ErrorInfoSchema } from '../../gen/typescript/google/rpc/error_details_pb.ts';
import { createEventPath, retrieveEventPath } from './connect-post.ts';
import { type GrpcAnswer, sendGrpc } from './grpc-send.ts';
import { findDetail, readRpcStatus } from './rpc-status.ts';
import type { TestService } from './test-service.ts';

export const subscribePath = '/harbor.events.v1.EventsService/SubscribeEvents';

/** Every way in which the bytes of a request reach the service. */
export const rawWires = {
  'gRPC, unary': { contentType: 'application/grpc+proto', path: createEventPath },
  'gRPC, stream': { contentType: 'application/grpc+proto', path: subscribePath },
  'gRPC-Web, unary': { contentType: 'application/grpc-web+proto', path: retrieveEventPath },
  'gRPC-Web, stream': { contentType: 'application/grpc-web+json', path: subscribePath },
  'Connect, unary': { contentType: 'application/json', path: createEventPath },
  'Connect, unary binary': { contentType: 'application/proto', path: retrieveEventPath },
  'Connect, stream': { contentType: 'application/connect+proto', path: subscribePath },
  REST: { contentType: 'application/json', path: '/v1/events' },
} as const;
export type RawWire = keyof typeof rawWires;
export const rawWireNames = Object.keys(rawWires) as RawWire[];

export const hasEnvelopes = (wire: RawWire): boolean =>
  /grpc|connect/.test(rawWires[wire].contentType);

/** The header that names the encoding of a request's messages. */
export function encodingHeader(wire: RawWire): string {
  if (!hasEnvelopes(wire)) return 'content-encoding';
  return wire.startsWith('Connect') ? 'connect-content-encoding' : 'grpc-encoding';
}

/** A message in the envelope that gRPC, gRPC-Web and streams of Connect have in common. */
export function envelope(flags: number, data: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flags);
  prefix.writeUInt32BE(data.length, 1);
  return Buffer.concat([prefix, data]);
}

/** How the service ended a call. */
export interface Outcome {
  /** Undefined: it went well, or the answer is none of the protocol. */
  readonly code: string | undefined;
  readonly reason: string | undefined;
  readonly message: string;
}

/** Sends bytes as the body of a call. */
export async function sendRaw(
  service: TestService,
  wire: RawWire,
  body: Uint8Array,
  headers: Record<string, string> = {},
): Promise<Outcome> {
  const { contentType, path } = rawWires[wire];
  const fields = { 'content-type': contentType, ...headers };
  return outcomeOf(wire, await sendGrpc(service, path, [body], fields));
}

function outcomeOf(wire: RawWire, answer: GrpcAnswer): Outcome {
  if (wire === 'REST') return ofProblem(answer.body);
  if (wire.startsWith('Connect')) return ofConnect(wire, answer);
  const trailers = wire.startsWith('gRPC-Web')
    ? new Map(
        [...`${answer.body}`.matchAll(/([\w-]+): ?(.*)\r\n/g)].map(([, name, value]) => [
          name,
          value,
        ]),
      )
    : new Map(Object.entries(answer.headers));
  const code = Number(trailers.get('grpc-status'));
  const bytes = Buffer.from(`${trailers.get('grpc-status-details-bin') ?? ''}`, 'base64');
  const status = readRpcStatus(bytes);
  return {
    code: code > 0 ? codeToString(code) : undefined,
    reason: findDetail(status, ErrorInfoSchema)?.reason,
    message: status.message,
  };
}

function ofProblem(body: Buffer): Outcome {
  const { code, reason, detail = '' } = JSON.parse(`${body}`);
  return { code, reason, message: detail };
}

function ofConnect(wire: RawWire, { httpStatus, body }: GrpcAnswer): Outcome {
  const inEnvelope = hasEnvelopes(wire);
  if (inEnvelope && body[0] !== 2) return { code: undefined, reason: undefined, message: '' };
  if (!inEnvelope && httpStatus === 200) return { code: undefined, reason: undefined, message: '' };
  const json = JSON.parse(`${inEnvelope ? body.subarray(5) : body}`);
  const { code, message = '', details = [] } = inEnvelope ? json.error : json;
  const info = details.find(({ type }: { type: string }) => type === ErrorInfoSchema.typeName);
  return {
    code: codeFromString(code) && code,
    reason: info?.debug?.reason,
    message,
  };
}
