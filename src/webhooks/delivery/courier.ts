import type { Event } from '../../events/index.ts';
import type { Tracing } from '../../tracing/tracing.ts';
import { idOf } from '../../type-id.ts';
import type { Delivery, Result } from './delivery.ts';
import { type Answer, type DeliverySchedule, judge, readRetryAfterMs } from './schedule.ts';
import type { Target } from './target.ts';

/** A request as it goes out: the bytes that are signed are the bytes that are sent. */
export interface WebhookRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly timeoutMs: number;
}

export type WebhookResponse =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly retryAfter: string | undefined;
      /** The beginning of the body, 1 KiB at the most. */
      readonly body: Buffer;
    }
  /** `error` is for the endpoint's owner: it names no address. */
  | { readonly kind: 'unanswered'; readonly error: string };

export interface CourierDeps {
  readonly post: (request: WebhookRequest) => Promise<WebhookResponse>;
  /** The headers of Standard Webhooks and those of the endpoint; undefined where a key to decrypt them is missing. */
  readonly headersFor: (
    target: Target,
    message: { readonly id: string; readonly atMs: number; readonly body: Buffer },
  ) => Record<string, string> | undefined;
  /** The event in JSON, the same bytes for whoever is sent it. */
  readonly bodyOf: (event: Event) => Buffer;
  /** The id of a delivery, `dlv_…`, and of a replay, `rpl_…`. */
  readonly deliveryId: (delivery: Delivery) => string;
  readonly schedule: DeliverySchedule;
  /** Undefined: no request is traced. */
  readonly tracing?: Pick<Tracing, 'beginRequest'> | undefined;
  readonly now?: () => number;
  readonly random?: () => number;
}

/** Sends one delivery once, and says what is to become of it. */
export interface Courier {
  /** What the body of an event takes, in bytes. */
  sizeOf(event: Event): number;
  /** Whether this process has the keys to sign for a target; who has not leaves it to others. */
  canSend(target: Target): boolean;
  /** @returns undefined where this process lacks the key that signs: the delivery is somebody else's then. */
  send(delivery: Delivery, to: Recipient, event: Event): Promise<Result | undefined>;
}

export interface Recipient {
  readonly target: Target;
  /** `rpl_…` where the delivery is of a replay. */
  readonly replayId: string | undefined;
}

const responseBytesMax = 1_024;
const nothingToSay = { id: '', atMs: 0, body: Buffer.alloc(0) };

export function createCourier(deps: CourierDeps): Courier {
  const { post, headersFor, bodyOf, deliveryId, schedule, tracing } = deps;
  const { now = Date.now, random = Math.random } = deps;
  const sendable = new WeakMap<Target, boolean>();
  return {
    sizeOf: (event) => bodyOf(event).byteLength,

    canSend(target) {
      let known = sendable.get(target);
      if (known === undefined) {
        known = headersFor(target, nothingToSay) !== undefined;
        sendable.set(target, known);
      }
      return known;
    },

    async send(delivery, { target, replayId }, event) {
      const body = bodyOf(event);
      const startedAt = new Date(now());
      const signed = headersFor(target, { id: event.id, atMs: startedAt.getTime(), body });
      if (signed === undefined) return undefined;
      const id = deliveryId(delivery);
      const trace = tracing?.beginRequest({
        url: target.url,
        workspaceId: target.workspaceId,
        endpointId: idOf('whe', target.id),
        deliveryId: id,
        attempt: delivery.attempt,
        replayId,
        event,
      });
      const headers = {
        ...signed,
        ...placeHeaders(delivery, id, replayId),
        ...traceHeaders(trace?.traceparent ?? event.traceContext),
      };
      const beganAtMs = performance.now();
      const response = await post({ url: target.url, headers, body, timeoutMs: target.timeoutMs });
      const durationMs = Math.round(performance.now() - beganAtMs);
      const verdict = judge(schedule, toAnswer(response, now()), {
        tries: delivery.tries,
        random: random(),
      });
      const isAnswered = response.kind === 'answered';
      const status = isAnswered ? response.status : undefined;
      const error = isAnswered ? undefined : response.error;
      trace?.end({ status, error });
      return {
        delivery,
        startedAt,
        durationMs,
        status,
        error,
        response: isAnswered ? response.body.subarray(0, responseBytesMax) : undefined,
        outcome: verdict.kind,
        afterMs: verdict.kind === 'retry' ? verdict.afterMs : undefined,
        holdMs: verdict.holdMs,
      };
    },
  };
}

function toAnswer(response: WebhookResponse, nowMs: number): Answer {
  if (response.kind === 'unanswered') return response;
  const { status, retryAfter } = response;
  return { kind: 'answered', status, retryAfterMs: readRetryAfterMs(retryAfter, nowMs) };
}

/** What tells a receiver where in the log, and at which try, it is. */
function placeHeaders(
  { attempt, sequence, previousSequence }: Delivery,
  deliveryId: string,
  replayId: string | undefined,
): Record<string, string> {
  return {
    'harbor-delivery': deliveryId,
    'harbor-attempt': `${attempt}`,
    'harbor-sequence': `${sequence}`,
    ...(previousSequence > 0 && { 'harbor-previous-sequence': `${previousSequence}` }),
    ...(replayId !== undefined && { 'harbor-replay': replayId }),
  };
}

/** The trace in which the receiver goes on; where there is none, what the endpoint's own headers say. */
function traceHeaders(traceparent: string | undefined): Record<string, string> {
  return traceparent === undefined ? {} : { traceparent };
}
