import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';

/** An answer over HTTP/1.1, whole. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface HttpRequest {
  /** Default: GET, or POST when there is a body. */
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** An object is sent as JSON with its content type. */
  readonly body?: string | Uint8Array | object;
}

/**
 * One request on a connection of its own, with exactly the given headers: unlike fetch, it takes any of
 * them. Carries the service's secret key unless `authorization` is given ('' for none).
 */
export function sendRequest(
  service: { readonly host: string; readonly port: number; readonly secretKey: string },
  path: string,
  { method, headers = {}, body }: HttpRequest = {},
): Promise<HttpAnswer> {
  const { authorization = `Bearer ${service.secretKey}`, ...rest } = headers;
  const isJson = typeof body === 'object' && !(body instanceof Uint8Array);
  const bytes = isJson ? JSON.stringify(body) : body;
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: service.host,
      port: service.port,
      agent: false,
      path,
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        ...(authorization !== '' && { authorization }),
        ...(isJson && { 'content-type': 'application/json' }),
        ...rest,
      },
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
    });
    outgoing.end(bytes);
  });
}

/** What a problem+json says, for `toMatchObject`; fails when the answer is none. */
export function problemOf(answer: HttpAnswer): {
  status: number;
  code: string;
  reason: string;
  detail: string;
  request_id: string;
  metadata?: Record<string, string>;
  violations?: { field: string; description: string }[];
} {
  if (answer.headers['content-type'] !== 'application/problem+json') {
    throw new Error(`expected problem+json, got ${answer.status} ${answer.text.slice(0, 200)}`);
  }
  return { ...JSON.parse(answer.text), status: answer.status };
}
