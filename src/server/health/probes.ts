import { json, methodNotAllowed } from '../errors/plain-answers.ts';
import type { ExchangeRequest, ExchangeResponse } from '../wire/exchange.ts';
import type { Health } from './health.ts';

/**
 * What an orchestrator asks by HTTP, or undefined for another path. `/healthz`: does the process live?
 * Always yes, since a loop that hangs answers nothing. `/readyz`: does it take calls?
 */
export function answerProbe(
  request: ExchangeRequest,
  health: Health,
): ExchangeResponse | undefined {
  const { path, method } = request;
  if (path !== '/healthz' && path !== '/readyz') return undefined;
  if (method !== 'GET' && method !== 'HEAD') return methodNotAllowed(request, ['GET', 'HEAD']);
  const reason = path === '/readyz' ? health.notServing : undefined;
  return reason === undefined
    ? json(200, { status: 'SERVING' })
    : json(503, { status: 'NOT_SERVING', reason });
}
