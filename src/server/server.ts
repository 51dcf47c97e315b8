import { setTimeout as delay } from 'node:timers/promises';
import type { Validator } from '@bufbuild/protovalidate';
import { createMethodUrl } from '@connectrpc/connect/protocol';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { Health as HealthService } from '../../gen/typescript/health/v1/health_pb.ts';
import type { OpenStream } from '../events/index.ts';
import type { Log } from '../log.ts';
import { createAdmission } from './admission.ts';
import { answerHttp1 } from './answer-http1.ts';
import { answerHttp2 } from './answer-http2.ts';
import { createCallLog } from './call-log.ts';
import { withCors } from './cors.ts';
import { createDispatch } from './dispatch.ts';
import { createToHeaders } from './exchange.ts';
import { createFront } from './front.ts';
import { createHealth, type Health } from './health.ts';
import { addHealthService } from './health-service.ts';
import { batchBytesMax, healthRequestBytesMax, requestBytesMax } from './limits.ts';
import { createOpenCheckedStream } from './open-stream.ts';
import { createRequestGate, type RequestGateDeps } from './request-gate.ts';
import { createHandlers, type Routes } from './router.ts';

export interface ServerDeps extends Omit<RequestGateDeps, 'admission'> {
  readonly routes: Routes;
  /** Headers that the routes read beside those of the protocols, in lower case; others they do not see. */
  readonly headersRead?: readonly string[];
  readonly validator: Validator;
  /** Opens the streams of SubscribeEvents. */
  readonly openStream: OpenStream;
  /** Names of the services in `routes`, for grpc.health.v1. */
  readonly serviceNames: readonly string[];
  readonly health: Health;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly corsOrigins: readonly string[];
  readonly log: Log;
  /** A stream whose reader takes nothing for this time is cut off; in milliseconds. */
  readonly stallMsMax: number;
}

/** Sockets, protocols, gate and answers: everything between the network and the handlers. */
export interface Server {
  listen(host: string, port: number): Promise<{ readonly host: string; readonly port: number }>;
  /**
   * Takes no more calls, lets those in flight finish for `graceMs` at the most, and ends every
   * connection. `health` must have been stopped before, so that streams end.
   */
  stop(graceMs: number): Promise<void>;
}

const healthPrefix = `/${HealthService.typeName}/`;
const batchPath = createMethodUrl('/', EventsService.method.batchCreateEvents);

/** Between the last answer and the end of its connection. */
const lastBytesMs = 2_000;

export { createHealth, type Health };

export function createServer(deps: ServerDeps): Server {
  const admission = createAdmission();
  const routes: Routes = (router) => {
    deps.routes(router);
    addHealthService(router, deps.health, deps.serviceNames);
  };
  const gate = createRequestGate({ ...deps, admission });
  const handlers = createHandlers(routes, gate, deps.validator);
  const openStream = createOpenCheckedStream(gate, deps.validator, deps.openStream);
  const dispatch = withCors(deps.corsOrigins, createDispatch(handlers, deps.health, openStream));
  const front = createFront(deps.tls);
  const exchange = {
    dispatch,
    admission,
    toHeaders: createToHeaders(deps.headersRead),
    bytesMaxOf,
    closing: front.closing,
    stallMsMax: deps.stallMsMax,
    onEnd: createCallLog(deps.log),
  };
  answerHttp1(front.http1, exchange);
  answerHttp2(front.http2, exchange);

  return {
    listen: (host, port) => front.listen(host, port),
    async stop(graceMs) {
      const closed = front.close();
      await within(graceMs, admission.idle());
      // Every answer is written: whoever has not taken the last bytes by then never will.
      await within(lastBytesMs, closed);
      front.destroy();
      await closed;
    },
  };
}

/** The largest body of a path's requests, in bytes. */
function bytesMaxOf(path: string): number {
  if (path === batchPath) return batchBytesMax;
  return path.startsWith(healthPrefix) ? healthRequestBytesMax : requestBytesMax;
}

/** Resolves when the promise does, or after `timeoutMs`, whichever is first. */
async function within(timeoutMs: number, promise: Promise<unknown>): Promise<void> {
  const settled = new AbortController();
  const { signal } = settled;
  const timer = delay(timeoutMs, undefined, { signal }).catch(() => undefined);
  await Promise.race([promise, timer]);
  settled.abort();
}
