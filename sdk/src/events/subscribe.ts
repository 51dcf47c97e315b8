import type { HarborError } from '../errors.ts';
import type { Names } from '../known-names.ts';

/** Which events to subscribe to. */
export interface SubscribeQuery {
  /** The workspace whose log to follow: ws_… */
  readonly workspaceId: string;
  /**
   * Where to begin: after this sequence; 0 means from the first event that retention keeps. Absent means from
   * now: only events that are recorded after the service has taken the subscription.
   */
  readonly afterSequence?: number | undefined;
  /** Only events whose type matches one of these, as in ListQuery; absent or empty means every type. */
  readonly typePatterns?: readonly string[] | undefined;
  /** Another name for `typePatterns`, which it was called at first; only one of them may be there. */
  readonly types?: readonly string[] | undefined;
  /** Only events about this: their `subject` is the same text. */
  readonly subject?: string | undefined;
}

/** @internal */
export const subscribeQueryNames = {
  workspaceId: true,
  afterSequence: true,
  typePatterns: true,
  types: true,
  subject: true,
} satisfies Names<SubscribeQuery>;

/** Options of a subscription. */
export interface SubscribeOptions {
  /** Ends the subscription: the loop ends as if by `break`, waits before reconnects included. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How long to wait for the first message of a connection, in milliseconds; default: the client's.
   * Doubled after each failure in a row, up to 45 s, for a log in which little matches. The
   * subscription as a whole has no timeout.
   */
  readonly timeoutMs?: number | undefined;
  /** How often in a row to reconnect without a message in between; default: without end. */
  readonly maxRetries?: number | undefined;
  /**
   * Called when a connection has reached the end of the log, once per connection: every event that was
   * there has been handed out, and from here on they come as they are recorded. What it throws is thrown
   * into the loop.
   */
  readonly onLive?: ((sequence: number) => void) | undefined;
  /** Called when a connection was lost, before the wait. What it throws is thrown into the loop. */
  readonly onReconnect?: ((reconnect: Reconnect) => void) | undefined;
}

/** A connection that was lost, or could not be made, and will be made again. */
export interface Reconnect {
  /** Why: always one that may pass, such as UnavailableError. */
  readonly error: HarborError;
  /** The number of failures in a row, from 1; a message that arrives sets it back. */
  readonly failures: number;
  /** How long the subscription waits before it connects again, in milliseconds. */
  readonly delayMs: number;
}
