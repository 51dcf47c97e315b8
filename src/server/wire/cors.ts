import { cors } from '@connectrpc/connect';
import type { Dispatch, ExchangeRequest, ExchangeResponse } from './exchange.ts';

/** A day; browsers shorten it as they like. */
const preflightSeconds = 86_400;
const allowedHeaders = [
  ...cors.allowedHeaders,
  'Authorization',
  'Idempotency-Key',
  'Last-Event-ID',
  // What traces send.
  'Traceparent',
  'Tracestate',
  'X-Request-Id',
].join(', ');
/** Those of Connect, and what changes and deletes by REST. */
const allowedMethods = [...cors.allowedMethods, 'PATCH', 'DELETE'].join(', ');
const exposedHeaders = [
  ...cors.exposedHeaders,
  'Idempotent-Replayed',
  'Location',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'X-Request-Id',
].join(', ');

/** Lets browser apps of the given origins (`*`: of every one) call, by REST, Connect and gRPC-Web. */
export function withCors(origins: readonly string[], dispatch: Dispatch): Dispatch {
  const everyone = origins.includes('*');
  return async (request) => {
    const origin = request.header.get('origin');
    if (origin === null) return dispatch(request);
    const allowed = everyone || origins.includes(origin);
    const asks = isPreflight(request);
    if (asks && !allowed) request.call.refusedOrigin = origin;
    if (origins.length === 0) return dispatch(request);
    if (asks) return preflight(allowed ? origin : undefined);
    const response = await dispatch(request);
    response.header.append('vary', 'Origin');
    if (allowed) {
      response.header.set('access-control-allow-origin', origin);
      response.header.set('access-control-expose-headers', exposedHeaders);
    }
    return response;
  };
}

function isPreflight(request: ExchangeRequest): boolean {
  return request.method === 'OPTIONS' && request.header.has('access-control-request-method');
}

function preflight(origin: string | undefined): ExchangeResponse {
  const vary = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers';
  if (origin === undefined) return { status: 403, header: new Headers({ vary }) };
  const header = new Headers({
    vary,
    'access-control-allow-origin': origin,
    'access-control-allow-methods': allowedMethods,
    'access-control-allow-headers': allowedHeaders,
    'access-control-max-age': `${preflightSeconds}`,
  });
  return { status: 204, header };
}
