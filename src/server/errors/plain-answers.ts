import type { ExchangeRequest, ExchangeResponse } from '../wire/exchange.ts';
import { HeaderFields } from '../wire/header-fields.ts';

/** An answer that belongs to no RPC protocol: `application/problem+json`, as RFC 9457 says. */
export function problem(
  status: number,
  members: { code: string; reason: string; title: string; detail?: string } & Record<
    string,
    unknown
  >,
  headers: Record<string, string> = {},
): ExchangeResponse {
  const type = `urn:harbor:error:${members.reason}`;
  return text(status, JSON.stringify({ type, status, ...members }), {
    'content-type': 'application/problem+json',
    ...headers,
  });
}

/** An answer in JSON. */
export function json(
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): ExchangeResponse {
  return text(status, JSON.stringify(value), { 'content-type': 'application/json', ...headers });
}

/** An answer that is JSON already. */
export function jsonText(
  status: number,
  body: Uint8Array,
  headers: Record<string, string> = {},
): ExchangeResponse {
  const length = `${body.byteLength}`;
  const fields = { 'content-type': 'application/json', ...headers, 'content-length': length };
  return { status, header: new HeaderFields(fields), body };
}

/** A text of this length is made bytes at once, lest an answer that waits holds it twice. */
const longText = 16 * 1024;

function text(status: number, body: string, headers: Record<string, string>): ExchangeResponse {
  const header = new Headers({ ...headers, 'content-length': `${Buffer.byteLength(body)}` });
  return { status, header, body: body.length > longText ? Buffer.from(body) : body };
}

export function badAuthority(requestId: string): ExchangeResponse {
  return problem(400, {
    request_id: requestId,
    code: 'invalid_argument',
    reason: 'INVALID_REQUEST',
    title: 'Bad Request',
    detail: 'the Host header or :authority must be a host name or address, and perhaps a port',
  });
}

export function notFound({ path, call }: ExchangeRequest): ExchangeResponse {
  return problem(404, {
    request_id: call.requestId,
    code: 'not_found',
    reason: 'METHOD_NOT_FOUND',
    title: 'Not Found',
    detail: `nothing is at ${path.slice(0, 200)}; GET /openapi.json lists what is`,
  });
}

export function methodNotAllowed(
  { call }: ExchangeRequest,
  allowed: readonly string[],
): ExchangeResponse {
  const allow = allowed.join(', ');
  return problem(
    405,
    {
      request_id: call.requestId,
      code: 'unimplemented',
      reason: 'UNIMPLEMENTED',
      title: 'Method Not Allowed',
      detail: `allowed here: ${allow}`,
    },
    { allow },
  );
}

export function unsupportedMediaType(
  { call }: ExchangeRequest,
  accept: readonly string[] = ['application/json'],
): ExchangeResponse {
  return problem(
    415,
    {
      request_id: call.requestId,
      code: 'unimplemented',
      reason: 'UNIMPLEMENTED',
      title: 'Unsupported Media Type',
      detail: `send one of these with the header "content-type": ${accept.join(', ')}`,
    },
    { accept: accept.join(', ') },
  );
}
