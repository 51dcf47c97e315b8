import type { Validator } from '@bufbuild/protovalidate';
import { type ConnectRouter, createConnectRouter } from '@connectrpc/connect';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import { compressionBrotli, compressionGzip } from '@connectrpc/connect-node';
import { createInterceptors } from './interceptors.ts';
import { batchBytesMax, responseBytesMax, timeoutMsMax } from './limits.ts';
import { type RequestGate, toConnectGate } from './request-gate.ts';
import { readIdempotencyHeader } from './rest/idempotency-header.ts';
import { strictJson } from './strict-json.ts';

export type Routes = (router: ConnectRouter) => void;

/** The handlers of every RPC, by path. */
export interface Handlers {
  /** For clients of the RPCs: gRPC, gRPC-Web and Connect. */
  readonly rpc: ReadonlyMap<string, UniversalHandler>;
  /** The same RPCs for the REST face: snake_case out, unknown fields refused. */
  readonly rest: ReadonlyMap<string, UniversalHandler>;
}

/** Puts every RPC behind the same gate, limits and interceptors. */
export function createHandlers(routes: Routes, gate: RequestGate, validator: Validator): Handlers {
  const options = {
    requestGate: toConnectGate(gate),
    interceptors: createInterceptors(validator),
    acceptCompression: [compressionGzip, compressionBrotli],
    // The largest of any RPC; what each may send is bounded where its body is received.
    readMaxBytes: batchBytesMax,
    writeMaxBytes: responseBytesMax,
    maxTimeoutMs: timeoutMsMax,
  };
  const rpc = createConnectRouter({ ...options, jsonOptions: strictJson });
  const rest = createConnectRouter({
    ...options,
    interceptors: createInterceptors(validator, [readIdempotencyHeader]),
    grpc: false,
    grpcWeb: false,
    jsonOptions: {
      ...strictJson,
      useProtoFieldName: true,
      alwaysEmitImplicit: true,
      ignoreUnknownFields: false,
    },
  });
  routes(rpc);
  routes(rest);
  return { rpc: byPath(rpc), rest: byPath(rest) };
}

function byPath(router: ConnectRouter): ReadonlyMap<string, UniversalHandler> {
  return new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
}
