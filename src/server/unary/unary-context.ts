import type { DescMethod } from '@bufbuild/protobuf';
import { Code, ConnectError, type ContextValues, type HandlerContext } from '@connectrpc/connect';
import type { ExchangeRequest } from '../wire/exchange.ts';

export interface UnaryContextInit {
  readonly method: DescMethod;
  readonly protocolName: string;
  readonly values: ContextValues;
  /** Undefined: it may take as long as it likes. */
  readonly timeoutMs: number | undefined;
}

/**
 * What a handler is told of its call, as Connect tells it. Of what most handlers do not ask for, nothing is made:
 * Connect's own context costs as much as to parse the request.
 */
export class UnaryContext implements HandlerContext {
  readonly method: DescMethod;
  readonly protocolName: string;
  readonly values: ContextValues;
  readonly requestHeader: Headers;
  readonly #request: Pick<ExchangeRequest, 'method' | 'url' | 'signal'>;
  readonly #endsAtMs: number | undefined;
  #deadline: Deadline | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;

  constructor(request: ExchangeRequest, init: UnaryContextInit) {
    this.method = init.method;
    this.protocolName = init.protocolName;
    this.values = init.values;
    this.requestHeader = request.header;
    this.#request = request;
    const { timeoutMs } = init;
    this.#endsAtMs = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  }

  get service() {
    return this.method.parent;
  }

  get requestMethod(): string {
    return this.#request.method;
  }

  get url(): string {
    return this.#request.url;
  }

  readonly timeoutMs = (): number | undefined =>
    this.#endsAtMs === undefined ? undefined : this.#endsAtMs - performance.now();

  /** Aborts when the caller goes away, or its time is up. A call that goes well leaves it as it is. */
  get signal(): AbortSignal {
    const { signal } = this.#request;
    const timeoutMs = this.timeoutMs();
    if (timeoutMs === undefined) return signal;
    this.#deadline ??= new Deadline(signal, timeoutMs);
    return this.#deadline.signal;
  }

  get responseHeader(): Headers {
    this.#responseHeader ??= new Headers();
    return this.#responseHeader;
  }

  get responseTrailer(): Headers {
    this.#responseTrailer ??= new Headers();
    return this.#responseTrailer;
  }

  /** What the handler adds to its answer; undefined where it adds nothing. */
  get added(): { readonly header: Headers | undefined; readonly trailer: Headers | undefined } {
    return { header: this.#responseHeader, trailer: this.#responseTrailer };
  }

  /** The handler is done: its time runs no more. */
  close(): void {
    this.#deadline?.close();
  }
}

/** A signal that follows another one, and aborts when a time is up. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(caller: AbortSignal, timeoutMs: number) {
    this.#caller = caller;
    if (caller.aborted) this.#follow();
    else if (timeoutMs <= 0) this.#expire();
    else {
      caller.addEventListener('abort', this.#follow);
      this.#timer = setTimeout(this.#expire, timeoutMs);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener('abort', this.#follow);
  }

  readonly #follow = () => this.#controller.abort(this.#caller.reason);

  readonly #expire = () =>
    this.#controller.abort(new ConnectError('the operation timed out', Code.DeadlineExceeded));
}
