import { ConnectError } from '@connectrpc/connect';
import { errorFromJson } from '@connectrpc/connect/protocol-connect';
import { type Refusal, refusalOf } from './errors.ts';
import { type HttpAnswer, sendRequest } from './http-request.ts';
import type { TestService } from './test-service.ts';

export const createEventPath = '/harbor.events.v1.EventsService/CreateEvent';
export const retrieveEventPath = '/harbor.events.v1.EventsService/RetrieveEvent';

/** A body of the caller's own making as a unary call of Connect over HTTP/1.1. */
export function connectPost(
  service: TestService,
  path: string,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<HttpAnswer> {
  const codec = typeof body === 'string' ? 'json' : 'proto';
  return sendRequest(service, path, {
    headers: { 'content-type': `application/${codec}`, ...headers },
    body,
  });
}

/** How the answer to a unary call of Connect refuses; fails when it does not. */
export function refusalIn(answer: HttpAnswer): Promise<Refusal> {
  if (answer.status === 200)
    throw new Error(`expected a refusal, got ${answer.text.slice(0, 200)}`);
  const fallback = new ConnectError(`not an error of Connect: ${answer.text.slice(0, 200)}`);
  return refusalOf(Promise.reject(errorFromJson(JSON.parse(answer.text), undefined, fallback)));
}
