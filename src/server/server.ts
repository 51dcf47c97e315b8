import { setTimeout as delay } from 'node:timers/promises';
import type { DescService } from '@bufbuild/protobuf';
import type { Validator } from '@bufbuild/protovalidate';
import { file_google_rpc_error_details } from '../../gen/typescript/google/rpc/error_details_pb.ts';
import { file_harbor_errors_v1_error_reason } from '../../gen/typescript/harbor/errors/v1/error_reason_pb.ts';
import { Health as HealthService } from '../../gen/typescript/health/v1/health_pb.ts';
import type { Gauge } from '../gauge.ts';
import type { Log } from '../log.ts';
import { createLoopTurns, type LoopTurns } from '../loop-turns.ts';
import { ampleRoom, type MemoryRoom } from '../memory-room.ts';
import { type Observer, unobserved } from '../observer.ts';
import { createRateLimiter, type RateLimiter } from '../rate-limits/index.ts';
import type { StreamRoute } from '../stream-route.ts';
import { type Admission, createAdmission } from './calls/admission.ts';
import type { Call } from './calls/call.ts';
import { type CallLogOptions, createCallLog } from './calls/call-log.ts';
import { createCallTelling } from './calls/ended-call.ts';
import { createRequestGate, type RequestGateDeps } from './calls/request-gate.ts';
import { createDispatch } from './dispatch.ts';
import { createHealth, type Health } from './health/health.ts';
import { createHealthService } from './health/health-service.ts';
import { createClientStreamLimits, createRequestLimits } from './limits.ts';
import { createReflection } from './reflection/reflection-service.ts';
import { createHandlers, type Routes } from './rpc/router.ts';
import { type ServerLoad, serverGauges } from './server-gauges.ts';
import { createStreams } from './streams/open-streams.ts';
import { createGuardedUnaries } from './unary/guarded-unary.ts';
import { readUnaryRoutes } from './unary/unary-routes.ts';
import { answerHttp1 } from './wire/answer-http1.ts';
import { answerHttp2 } from './wire/answer-http2.ts';
import { withCors } from './wire/cors.ts';
import { createToHeaders } from './wire/exchange.ts';
import { createFront } from './wire/front.ts';
import { createInflation } from './wire/inflation.ts';
import { createLiveAnswers } from './wire/live-answers.ts';
import { createOpenAnswers } from './wire/open-answers.ts';

export interface ServerDeps extends Omit<RequestGateDeps, 'admission' | 'limiter'> {
  /** One of its own unless it is given. */
  readonly admission?: Admission;
  /** The same. */
  readonly limiter?: RateLimiter;
  /** What calls may hold in memory; ample unless it is given. */
  readonly room?: MemoryRoom;
  /** In which calls begin; of its own unless they are given. */
  readonly turns?: LoopTurns;
  /** The services, for Connect. */
  readonly routes: Routes;
  /** Their streaming RPCs, which Connect knows by name only. */
  readonly streams: readonly StreamRoute[];
  /** Headers that the routes read beside those of the protocols, in lower case; others they do not see. */
  readonly headersRead?: readonly string[];
  readonly validator: Validator;
  /** Those in `routes`, for health and reflection. */
  readonly services: readonly DescService[];
  /** Whether clients are told of them (grpc.reflection); by default they are. */
  readonly reflection?: boolean;
  readonly health: Health;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly corsOrigins: readonly string[];
  readonly log: Log;
  /** Of which calls there is a line; of all unless it is given. */
  readonly callLog?: CallLogOptions;
  /** Is told of each call that has ended. */
  readonly observer?: Observer;
  /** A stream whose reader takes nothing for this time is cut off; in milliseconds. */
  readonly stallMsMax: number;
}

/** Sockets, protocols, gate and answers: everything between the network and the handlers. */
export interface Server {
  load(): ServerLoad;
  readonly gauges: readonly Gauge[];
  listen(host: string, port: number): Promise<{ readonly host: string; readonly port: number }>;
  /**
   * Takes no more calls, lets those in flight finish for `graceMs` at the most, and ends every
   * connection. `health` must have been stopped before, so that streams end.
   */
  stop(graceMs: number): Promise<void>;
}

const everyCall: CallLogOptions = { which: 'all', slowMs: 0 };
/** Between the last answer and the end of its connection. */
const lastBytesMs = 2_000;

export { createHealth, type Health, type ServerLoad };

export function createServer(deps: ServerDeps): Server {
  const {
    room = ampleRoom,
    admission = createAdmission(room),
    limiter = createRateLimiter(),
  } = deps;
  const { turns = createLoopTurns() } = deps;
  const { validator } = deps;
  const { services, reflection = true } = deps;
  const healthService = createHealthService(deps.health, services);
  const addReflection = createReflection({
    services: [...services, HealthService],
    files: [file_google_rpc_error_details, file_harbor_errors_v1_error_reason],
  });
  const routes: Routes = (router) => {
    deps.routes(router);
    healthService.routes(router);
    if (reflection) addReflection(router);
  };
  const gate = createRequestGate({ ...deps, admission, limiter });
  const inflation = createInflation();
  const handlers = createHandlers(routes, { gate, validator, inflation });
  const streams = createStreams([...deps.streams, healthService.watch], gate, validator);
  const unaries = createGuardedUnaries(readUnaryRoutes(routes), gate, validator);
  const dispatch = withCors(
    deps.corsOrigins,
    createDispatch({ handlers, streams, unaries, inflation, health: deps.health, validator }),
  );
  const front = createFront(deps.tls);
  const { stallMsMax, observer = unobserved } = deps;
  const logCall = createCallLog(deps.log, deps.callLog ?? everyCall);
  const tellOf = createCallTelling(observer);
  const openAnswers = createOpenAnswers(stallMsMax, front.closing, room.answers);
  const exchange = {
    dispatch,
    admission,
    turns,
    toHeaders: createToHeaders(deps.headersRead),
    openAnswers,
    liveAnswers: createLiveAnswers(),
    bytesMaxOf: createRequestLimits(handlers.rpc),
    clientStreamLimitsOf: createClientStreamLimits(handlers.rpc),
    closing: front.closing,
    stallMsMax,
    onEnd(call: Call, path: string, status: number) {
      logCall(call, path, status);
      tellOf(call, status);
    },
  };
  answerHttp1(front.http1, exchange);
  answerHttp2(front.http2, exchange);

  const load = () => ({ ...admission.load, answerBytes: openAnswers.bytes });

  return {
    load,
    gauges: serverGauges({ load, front, health: deps.health }),
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

/** Resolves when the promise does, or after `timeoutMs`, whichever is first. */
async function within(timeoutMs: number, promise: Promise<unknown>): Promise<void> {
  const settled = new AbortController();
  const { signal } = settled;
  const timer = delay(timeoutMs, undefined, { signal }).catch(() => undefined);
  await Promise.race([promise, timer]);
  settled.abort();
}
