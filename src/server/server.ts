import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../log.ts';
import { createAdmission } from './admission.ts';
import { createCallLog } from './call-log.ts';
import { withCors } from './cors.ts';
import { createDispatch } from './dispatch.ts';
import { createFront } from './front.ts';
import { addHealthService, createHealth, type Health } from './health.ts';
import { answerHttp1 } from './http1-exchange.ts';
import { answerHttp2 } from './http2-exchange.ts';
import { requestBytesMax } from './limits.ts';
import type { RequestGateDeps } from './request-gate.ts';
import { createHandlers, type Routes } from './router.ts';

export interface ServerDeps extends Omit<RequestGateDeps, 'admission'> {
  readonly routes: Routes;
  /** Names of the services in `routes`, for grpc.health.v1. */
  readonly serviceNames: readonly string[];
  readonly health: Health;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly corsOrigins: readonly string[];
  readonly log: Log;
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

export { createHealth, type Health };

export function createServer(deps: ServerDeps): Server {
  const admission = createAdmission();
  const routes: Routes = (router) => {
    deps.routes(router);
    addHealthService(router, deps.health, deps.serviceNames);
  };
  const handlers = createHandlers(routes, { ...deps, admission });
  const dispatch = withCors(deps.corsOrigins, createDispatch(handlers, deps.health));
  const front = createFront(deps.tls);
  const exchange = {
    dispatch,
    admission,
    bytesMaxOf: () => requestBytesMax,
    onEnd: createCallLog(deps.log),
  };
  answerHttp1(front.http1, exchange);
  answerHttp2(front.http2, exchange);

  return {
    listen: (host, port) => front.listen(host, port),
    async stop(graceMs) {
      const closed = front.close();
      const graceOver = new AbortController();
      const settled = Promise.all([closed, admission.idle()]);
      await Promise.race([
        settled,
        delay(graceMs, undefined, { signal: graceOver.signal }).catch(() => undefined),
      ]);
      graceOver.abort();
      front.destroy();
      await closed;
    },
  };
}
