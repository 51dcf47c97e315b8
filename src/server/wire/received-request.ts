import type { Call } from '../calls/call.ts';
import { type ExchangeRequest, toUrl } from './exchange.ts';
import type { LateSignal } from './late-signal.ts';
import type { RequestBody } from './request-body.ts';

/** What of a request its adapter knows. */
export interface Received
  extends Pick<ExchangeRequest, 'httpVersion' | 'method' | 'path' | 'query'> {
  readonly header: Headers;
  readonly body: RequestBody;
  readonly call: Call;
  /** Aborts when the caller goes away. */
  readonly gone: LateSignal;
}

/** A request as it was received. What few ask for is made when somebody does: its URL, and its signal. */
export class ReceivedRequest implements ExchangeRequest {
  readonly httpVersion: string;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly header: Headers;
  readonly body: RequestBody;
  readonly call: Call;
  readonly #gone: LateSignal;

  constructor(received: Received) {
    this.httpVersion = received.httpVersion;
    this.method = received.method;
    this.path = received.path;
    this.query = received.query;
    this.header = received.header;
    this.body = received.body;
    this.call = received.call;
    this.#gone = received.gone;
  }

  get url(): string {
    return toUrl(this.path, this.query);
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }
}
