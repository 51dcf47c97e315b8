import { describeCause } from '../../describe-cause.ts';
import type { Log } from '../../log.ts';
import { parseTraceparent } from '../../trace-context.ts';
import type { Call } from './call.ts';
import { codeOf } from './ended-call.ts';

/** What comes from outside is cut, so that a line stays short. */
const pathLengthMax = 200;
const methodLengthMax = 20;
const originLengthMax = 200;

/** Of which calls there is a line. */
export interface CallLogOptions {
  /** All of them, those that ended in an error of the server's, or these and whatever took long. */
  readonly which: 'all' | 'errors' | 'slow';
  readonly slowMs: number;
}

/** How calls end that are the server's fault, or that of what is behind it. What it refuses is the callers' affair. */
const serverErrors = new Set([
  'internal',
  'unknown',
  'data_loss',
  'unavailable',
  'deadline_exceeded',
]);

/**
 * One line a call, when its answer is written: never a payload or a key, and of the headers only the origin
 * whose preflight was refused, which CORS_ORIGINS may lack.
 */
export function createCallLog(
  log: Log,
  options: CallLogOptions,
): (call: Call, path: string, status: number) => void {
  return (call, path, status) => {
    if (!isWanted(options, call, status)) return;
    const unforeseen =
      call.failure?.reason === 'INTERNAL' || (call.failure === undefined && call.cause);
    const level = unforeseen ? 'error' : 'info';
    if (!log.isLevelEnabled(level)) return;
    log[level](
      {
        request_id: call.requestId,
        trace_id: call.trace?.traceId ?? parseTraceparent(call.traceparent)?.traceId,
        span_id: call.trace?.spanId,
        method: call.method.slice(0, methodLengthMax),
        path: path.slice(0, pathLengthMax),
        status,
        duration_ms: Math.round((performance.now() - call.startedAtMs) * 100) / 100,
        api_key_id: call.apiKeyId,
        code: call.failure?.code,
        reason: call.failure?.reason,
        origin: call.refusedOrigin?.slice(0, originLengthMax),
        cause: call.cause === undefined ? undefined : describeCause(call.cause),
      },
      'call',
    );
  };
}

function isWanted({ which, slowMs }: CallLogOptions, call: Call, status: number): boolean {
  if (which === 'all' || isServerError(call, status)) return true;
  // A stream lasts as long as somebody reads it.
  if (which === 'errors' || (call.rpc !== undefined && call.rpc.methodKind !== 'unary'))
    return false;
  return performance.now() - call.startedAtMs >= slowMs;
}

function isServerError(call: Call, status: number): boolean {
  // At a stop every stream ends so.
  return serverErrors.has(codeOf(call, status)) && call.failure?.reason !== 'SHUTTING_DOWN';
}
