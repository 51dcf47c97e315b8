import type { SubscribeEventsResponse } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { HarborError } from '../errors.ts';
import { reconnectDelayMs } from '../retry.ts';
import type { Translation } from '../to-harbor-error.ts';
import { EventStream } from './event-stream.ts';
import type { Reconnect } from './subscribe.ts';

/** What a ReconnectingStream is made of. */
export interface ReconnectingStreamDeps {
  /** Opens a connection that resumes where the messages taken so far have led. */
  readonly open: (signal: AbortSignal) => AsyncIterable<SubscribeEventsResponse>;
  /** How long to wait for the first message of a first connection, in milliseconds. */
  readonly timeoutMs: number;
  /** How long a connection may be silent before it counts as dead, in milliseconds. */
  readonly idleMs: number;
  readonly maxRetries: number;
  /** Returns a number from 0 up to, not including, 1. */
  readonly random: () => number;
  readonly wait: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  readonly toHarborError: Translation;
  /** Called when a connection is over, whoever ended it. */
  readonly onDisconnect: () => void;
  readonly onReconnect: ((reconnect: Reconnect) => void) | undefined;
}

/** The messages of one connection after the other. One `next` at a time. */
export class ReconnectingStream {
  readonly #deps: ReconnectingStreamDeps;
  readonly #closing = new AbortController();
  #stream: EventStream | undefined;
  #failures = 0;

  constructor(deps: ReconnectingStreamDeps) {
    this.#deps = deps;
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /**
   * The next message, over as many connections as it takes; undefined when closed. Throws a HarborError
   * that will not pass by itself, and any after more than `maxRetries` failures in a row.
   */
  async next(): Promise<SubscribeEventsResponse | undefined> {
    while (!this.isClosed) {
      try {
        this.#stream ??= this.#connect();
        const message = await this.#stream.next();
        this.#failures = 0;
        return message;
      } catch (thrown) {
        this.#disconnect();
        if (!this.isClosed) await this.#waitToReconnect(thrown);
      }
    }
    return undefined;
  }

  /** Cuts the connection at once; a pending `next` resolves to undefined. */
  close(): void {
    this.#closing.abort();
    this.#disconnect();
  }

  #connect(): EventStream {
    const { open, idleMs } = this.#deps;
    return new EventStream(open, { firstMs: this.#firstMs(), idleMs });
  }

  /** Grows, since the service may search a long log for longer than timeoutMs before it says a word. */
  #firstMs(): number {
    const { timeoutMs, idleMs } = this.#deps;
    return Math.min(Math.max(timeoutMs, idleMs), timeoutMs * 2 ** this.#failures);
  }

  async #waitToReconnect(thrown: unknown): Promise<void> {
    const { toHarborError, maxRetries, random, wait, onReconnect } = this.#deps;
    const timeoutMs = this.#firstMs();
    this.#failures += 1;
    const failures = this.#failures;
    const error = toHarborError(thrown, { attempt: failures, timeoutMs });
    if (!mayPass(error) || failures > maxRetries) throw error;
    const delayMs = Math.round(reconnectDelayMs(failures, error, random));
    onReconnect?.({ error, failures, delayMs });
    // Rejects when the stream is closed, and only then; next() sees that by itself.
    await wait(delayMs, this.#closing.signal).catch(() => undefined);
  }

  #disconnect(): void {
    if (this.#stream === undefined) return;
    this.#stream.close();
    this.#stream = undefined;
    this.#deps.onDisconnect();
  }
}

/** RESOURCE_EXHAUSTED without a reason is a stream that was reset because it was read too slowly. */
function mayPass(error: HarborError): boolean {
  return error.retryable || (error.code === 'resource_exhausted' && error.reason === undefined);
}
