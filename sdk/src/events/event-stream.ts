import { Code, ConnectError } from '@connectrpc/connect';
import type { SubscribeEventsResponse } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { StreamCut, toConnectError } from '../network.ts';
import { within } from '../within.ts';
import { invalidResponse } from './from-message.ts';

/** How long a stream may be silent, in milliseconds. */
export interface Silence {
  /** Until the first message. */
  readonly firstMs: number;
  /** Between two messages. */
  readonly idleMs: number;
}

/**
 * One connection. Reads no message before it is asked for; only what the runtime, and the envelope
 * reader, hold in their buffers is ahead.
 */
export class EventStream {
  readonly #controller = new AbortController();
  readonly #silence: Silence;
  readonly #messages: AsyncIterator<SubscribeEventsResponse>;
  #hasSpoken = false;

  /** Connects at once. */
  constructor(
    open: (signal: AbortSignal) => AsyncIterable<SubscribeEventsResponse>,
    silence: Silence,
  ) {
    this.#silence = silence;
    this.#messages = open(this.#controller.signal)[Symbol.asyncIterator]();
  }

  /**
   * The next message. Rejects when the stream fails, ends, or is silent for too long. The time that
   * passes between two calls does not count, since it is the reader's.
   */
  async next(): Promise<SubscribeEventsResponse> {
    const { done, value } = await within(this.#messages.next(), {
      ms: this.#hasSpoken ? this.#silence.idleMs : this.#silence.firstMs,
      late: () => this.#silenceError(),
      signal: this.#controller.signal,
    }).catch(refuseUnreadable);
    if (done === true) throw toConnectError(new StreamCut('the service ended it'));
    this.#hasSpoken = true;
    return value;
  }

  /** Cuts the connection at once; a pending `next` rejects. */
  close(): void {
    this.#controller.abort();
  }

  #silenceError(): ConnectError {
    return this.#hasSpoken
      ? toConnectError(new StreamCut(`no message for ${this.#silence.idleMs} ms`))
      : new ConnectError('no message', Code.DeadlineExceeded);
  }
}

/** Connect says "internal" of a message that it cannot parse, as the service does of its own faults. */
function refuseUnreadable(error: unknown): never {
  const isUnreadable =
    error instanceof ConnectError && !error.isWireError && /^parse binary/.test(error.rawMessage);
  throw isUnreadable ? invalidResponse('cannot be read') : error;
}
