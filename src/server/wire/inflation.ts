import { AsyncLocalStorage } from 'node:async_hooks';
import type {
  Compression,
  UniversalHandler,
  UniversalServerRequest,
} from '@connectrpc/connect/protocol';
import { compressionBrotli, compressionGzip } from '@connectrpc/connect-node';
import { inflationsMax } from '../limits.ts';
import type { RequestBody } from './request-body.ts';

const encodings = ['content-encoding', 'grpc-encoding', 'connect-content-encoding'];

/** Counts what requests inflate to among the bytes of their bodies. */
export interface Inflation {
  /** Those that are spoken. They inflate few messages at once, each up to its limit. */
  readonly compressions: readonly Compression[];
  /** What `work` inflates counts among the bytes of the request's body. Costs nothing where nothing is compressed. */
  counting<T>(request: Compressible, work: () => Promise<T>): Promise<T>;
  /** A handler that counts what it inflates. */
  counted(handler: UniversalHandler): UniversalHandler;
}

type Compressible = Pick<UniversalServerRequest, 'method' | 'header' | 'body'>;

export function createInflation(): Inflation {
  const bodies = new AsyncLocalStorage<Pick<RequestBody, 'hold'>>();
  const waiting: (() => void)[] = [];
  let running = 0;

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running < inflationsMax) running++;
    else await new Promise<void>((goOn) => waiting.push(goOn));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  }

  const bounded = (compression: Compression): Compression => ({
    ...compression,
    decompress: (bytes, readMaxBytes) =>
      inTurn(async () => {
        const inflated = await compression.decompress(bytes, readMaxBytes);
        bodies.getStore()?.hold(inflated.byteLength);
        return inflated;
      }),
  });

  function counting<T>(request: Compressible, work: () => Promise<T>): Promise<T> {
    const { body } = request;
    return isBody(body) && mayBeCompressed(request) ? bodies.run(body, work) : work();
  }

  return {
    compressions: [compressionGzip, compressionBrotli].map(bounded),
    counting,
    counted(handler) {
      const run = (request: UniversalServerRequest) => counting(request, () => handler(request));
      const runStream = async (request: UniversalServerRequest) => {
        const response = await run(request);
        const { body } = response;
        if (body === undefined || !mayBeCompressed(request)) return response;
        // The messages of a request are inflated while the answers to them are pulled.
        return { ...response, body: pulledBy((pull) => counting(request, pull), body) };
      };
      return Object.assign(handler.method.methodKind === 'unary' ? run : runStream, handler);
    },
  };
}

function pulledBy<T>(
  pull: (next: () => Promise<IteratorResult<T>>) => Promise<IteratorResult<T>>,
  items: AsyncIterable<T>,
): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = items[Symbol.asyncIterator]();
      return {
        next: () => pull(() => iterator.next()),
        return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
      };
    },
  };
}

/** A GET has its message and the encoding in its query. */
function mayBeCompressed({ method, header }: Compressible): boolean {
  return method === 'GET' || encodings.some((name) => header.has(name));
}

function isBody(body: UniversalServerRequest['body']): body is RequestBody {
  return typeof body === 'object' && body !== null && 'hold' in body;
}
