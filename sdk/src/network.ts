import { Code, ConnectError } from '@connectrpc/connect';
import { InvalidOptionError } from './errors.ts';
import { watchStream } from './stream-body.ts';

/**
 * A connection that could not be made or broke: the `cause` of the ConnectError (Code.Unavailable)
 * that stands for it. Nothing is known about what the service did.
 */
export class ConnectionFailure extends Error {}

/** A stream that was being read and broke, fell silent, or ended although it never does. */
export class StreamCut extends ConnectionFailure {}

/** The error that stands for a connection failure: retryable, by its code. */
export function toConnectError(failure: ConnectionFailure): ConnectError {
  return new ConnectError('no answer', Code.Unavailable, undefined, undefined, failure);
}

/**
 * A fetch that tells network errors from mistakes, which fetch itself does not: it rejects with a
 * ConnectError (Code.Unavailable, a ConnectionFailure as its cause) when no whole answer came, and with
 * the original error when the call was aborted or `fetch` itself is broken.
 *
 * The body of a unary answer is read whole, so that an answer that is cut off is seen here too; the
 * body of a stream is watched, and fails in the same way, with a StreamCut.
 * Redirects are refused: they would take the API key elsewhere, or turn POST into GET.
 */
export function createNetworkFetch(fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return async (input, init) => {
    try {
      // 'manual' and not 'error', which edge runtimes do not know.
      const response = await fetch(input, { ...init, redirect: 'manual' });
      refuseRedirect(response);
      if (!isStream(response)) return await readWhole(response);
      return watchStream(response, (error) => {
        if (init?.signal?.aborted || !isNetworkError(error)) return error;
        return toConnectError(new StreamCut(deepestMessage(error), { cause: error }));
      });
    } catch (error) {
      if (init?.signal?.aborted || !isNetworkError(error)) throw error;
      throw toConnectError(new ConnectionFailure(deepestMessage(error), { cause: error }));
    }
  };
}

/**
 * True for what fetch rejects with when the network fails. By the Fetch standard that is a TypeError, in
 * some implementations another Error, with what happened as its cause. The request cannot be at fault,
 * since its URL and headers were checked before. What is left are mistakes in a custom fetch or in the
 * runtime: they show as errors of the engine or as invalid arguments, there or in the cause.
 */
function isNetworkError(error: unknown): error is Error {
  return error instanceof Error && !causesOf(error).some(isMistake);
}

function isMistake(error: Error): boolean {
  const { code } = error as { code?: unknown };
  return (
    error instanceof InvalidOptionError ||
    error instanceof ReferenceError ||
    error instanceof SyntaxError ||
    error instanceof RangeError ||
    (typeof code === 'string' && /^(UND_)?ERR_INVALID_/.test(code))
  );
}

function refuseRedirect(response: Response): void {
  const isRedirect = response.status >= 300 && response.status < 400;
  if (response.type !== 'opaqueredirect' && !isRedirect) return;
  const location = response.headers.get('location');
  throw new InvalidOptionError(
    'baseUrl',
    `The address in baseUrl answers with a redirect${location === null ? '' : ` to ${location}`}. ` +
      'Set baseUrl to the address that it redirects to.',
  );
}

function isStream(response: Response): boolean {
  return response.headers.get('content-type')?.startsWith('application/connect+') ?? false;
}

async function readWhole(response: Response): Promise<Response> {
  const body = await response.arrayBuffer();
  const { status, statusText, headers } = response;
  return new Response(body.byteLength === 0 ? null : body, { status, statusText, headers });
}

/** Node says only "fetch failed"; what happened (connect ECONNREFUSED …) stands in the last cause. */
function deepestMessage(error: Error): string {
  const deepest = causesOf(error).at(-1) ?? error;
  const { code } = deepest as { code?: unknown };
  return deepest.message || (typeof code === 'string' ? code : deepest.name);
}

/** The error, its cause, the cause of that: at most 8, so that a cycle ends. */
function causesOf(error: Error): Error[] {
  const chain = [error];
  for (let cause = error.cause; cause instanceof Error && chain.length < 8; cause = cause.cause) {
    chain.push(cause);
  }
  return chain;
}
