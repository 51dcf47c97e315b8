import type { UniversalServerRequest, UniversalServerResponse } from '@connectrpc/connect/protocol';
import type { Given } from '../../stream-source.ts';
import type { Call } from '../calls/call.ts';
import { HeaderFields } from './header-fields.ts';
import type { RequestBody } from './request-body.ts';

/** A request, free of HTTP's versions: what dispatch, REST face and Connect work on. */
export interface ExchangeRequest extends Omit<UniversalServerRequest, 'body' | 'contextValues'> {
  /** Decoded neither in path nor query; always begins with a slash. */
  readonly path: string;
  /** With its question mark, or empty. */
  readonly query: string;
  readonly body: RequestBody;
  readonly call: Call;
}

/** A response whose body may be at hand instead of a stream. */
export interface ExchangeResponse extends Omit<UniversalServerResponse, 'body' | 'header'> {
  readonly header: Headers;
  readonly body?: UniversalServerResponse['body'] | string | Uint8Array;
  /** The body is the same bytes for everyone: an answer that waits keeps none of its own. */
  readonly isShared?: boolean;
  /** Of a stream: what the chunk that was pulled last holds. A reader that has not taken it by then is cut off. */
  readonly given?: () => Given | undefined;
  /** The body is one chunk: written together with the end of the stream. */
  readonly unary?: boolean;
}

/** The header of every stream: a proxy would wait until its buffer is full (nginx does so by default). */
export const unbuffered = ['x-accel-buffering', 'no'] as const;

export type Dispatch = (request: ExchangeRequest) => Promise<ExchangeResponse>;

/**
 * The headers that some handler reads. The others are left where they are: every header that is carried
 * along is copied three times where a call goes through Connect.
 */
const headersRead = new Set([
  'accept',
  'accept-encoding',
  'access-control-request-headers',
  'access-control-request-method',
  'authorization',
  'connect-accept-encoding',
  'connect-content-encoding',
  'connect-protocol-version',
  'connect-timeout-ms',
  'content-encoding',
  'content-length',
  'content-type',
  'grpc-accept-encoding',
  'grpc-encoding',
  'grpc-timeout',
  'idempotency-key',
  'last-event-id',
  'origin',
  'traceparent',
  'x-grpc-web',
]);

/** Node's headers as `Headers`; throws nothing, since Node has checked names and values. */
export type ToHeaders = (nodeHeaders: NodeJS.Dict<string | string[]>) => Headers;

/** @param more names, in lower case, that are carried along too. */
export function createToHeaders(more: readonly string[] = []): ToHeaders {
  const names = new Set([...headersRead, ...more]);
  return (nodeHeaders) => new HeaderFields(nodeHeaders, names);
}

/** A host name or address, and perhaps a port: what `Host` and `:authority` may say. */
const authorityForm = /^(?:[\w.-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?$/i;

/**
 * Whether an authority is one. Connect would build a URL with it, and a URL that cannot be built ends
 * the process; here nothing is built with it, and whoever sends such a thing is told so.
 */
export function isAuthority(authority: string | undefined): boolean {
  if (authority === undefined) return false;
  const match = authorityForm.exec(authority);
  return match !== null && Number(match[1] ?? 0) <= 65_535;
}

export function splitTarget(target: string): { path: string; query: string } {
  const mark = target.indexOf('?');
  if (mark < 0) return { path: target, query: '' };
  return { path: target.slice(0, mark), query: target.slice(mark) };
}

/** A URL for Connect, which reads nothing of it but the query. */
export function toUrl(path: string, query: string): string {
  return `http://harbor${path}${query}`;
}

/** A body as one chunk, undefined when nothing comes. */
export async function readWhole(
  body: AsyncIterable<Uint8Array> | undefined,
): Promise<Uint8Array | undefined> {
  if (body === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return chunks.length > 1 ? Buffer.concat(chunks) : chunks[0];
}
