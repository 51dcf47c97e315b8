import type { Validator } from '@bufbuild/protovalidate';
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  createConnectRouter,
} from '@connectrpc/connect';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import { type RequestGate, toConnectGate } from '../calls/request-gate.ts';
import {
  batchBytesMax,
  compressedBytesMin,
  messageBytesMaxOf,
  requestBytesMax,
  requestBytesWithoutKeyMax,
  responseBytesMax,
  timeoutMsMax,
} from '../limits.ts';
import { readGivenFields } from '../rest/given-fields.ts';
import { restJson } from '../rest/rest-json.ts';
import type { Inflation } from '../wire/inflation.ts';
import { answerEnd } from './connect-internals.ts';
import { createInterceptors } from './interceptors.ts';
import { strictJson } from './strict-json.ts';

export type Routes = (router: ConnectRouter) => void;

/** The handlers of every RPC, by path. */
export interface Handlers {
  /** For clients of the RPCs: gRPC, gRPC-Web and Connect. */
  readonly rpc: ReadonlyMap<string, UniversalHandler>;
  /** The same RPCs for the REST face: snake_case out, unknown fields refused. */
  readonly rest: ReadonlyMap<string, UniversalHandler>;
}

export interface HandlersDeps {
  readonly gate: RequestGate;
  readonly validator: Validator;
  readonly inflation: Inflation;
}

/** Puts every RPC behind the same gate, limits and interceptors. */
export function createHandlers(
  routes: Routes,
  { gate, validator, inflation }: HandlersDeps,
): Handlers {
  const options = {
    requestGate: toConnectGate(gate),
    interceptors: [answerEnd, ...createInterceptors(validator)],
    acceptCompression: [...inflation.compressions],
    compressMinBytes: compressedBytesMin,
    writeMaxBytes: responseBytesMax,
    maxTimeoutMs: timeoutMsMax,
  };
  const rpc = { ...options, jsonOptions: strictJson };
  const rest = {
    ...options,
    interceptors: createInterceptors(validator, [readGivenFields]),
    grpc: false,
    grpcWeb: false,
    jsonOptions: restJson,
  };
  const byPath = (faceOptions: ConnectRouterOptions) =>
    new Map(
      handlersWithin(faceOptions, routes).map((handler) => [
        handler.requestPath,
        inflation.counted(handler),
      ]),
    );
  return { rpc: byPath(rpc), rest: byPath(rest) };
}

/** Connect's limit is that of a whole router: each RPC is taken from one that has its own. */
function handlersWithin(options: ConnectRouterOptions, routes: Routes): UniversalHandler[] {
  const limits = [requestBytesWithoutKeyMax, requestBytesMax, batchBytesMax];
  return limits.flatMap((readMaxBytes) => {
    const router = createConnectRouter({ ...options, readMaxBytes });
    routes(router);
    return router.handlers.filter(({ method }) => messageBytesMaxOf(method) === readMaxBytes);
  });
}
