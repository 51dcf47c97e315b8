import type { CallOptions, Client } from '@connectrpc/connect';
import type {
  BatchCreateEventsResult,
  EventsService,
} from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { Caller } from '../caller.ts';
import { HarborError } from '../errors.ts';
import { makeIdempotencyKey } from '../idempotency-key.ts';
import { refuseUnknownFields } from '../known-names.ts';
import { parseRequestOptions, type RequestOptions, requestOptionNames } from '../options.ts';
import type { Translation } from '../to-harbor-error.ts';
import { type BatchItem, type BatchResult, batchItemNames, batchItemsMax } from './batch.ts';
import { batchResultFromMessage } from './batch-result.ts';
import { invalidResponse } from './from-message.ts';
import {
  type NewEventMessage,
  newEventToMessage,
  type PayloadRules,
  type UncheckedEvent,
} from './new-event-message.ts';
import { refuseField } from './request-fields.ts';

/** What a batch is sent with. */
export interface BatchDeps extends PayloadRules {
  readonly client: Pick<Client<typeof EventsService>, 'batchCreateEvents'>;
  readonly call: Caller;
  readonly toHarborError: Translation;
}

type UncheckedItem = UncheckedEvent & Pick<BatchItem, 'idempotencyKey'>;

/** Creates the events; see Events.createBatch. */
export async function createBatch<Payload extends object>(
  deps: BatchDeps,
  items: readonly UncheckedItem[],
  options: RequestOptions,
): Promise<BatchResult<Payload>[]> {
  if (!Array.isArray(items) || items.length < 1 || items.length > batchItemsMax) {
    throw refuseField('items', `must be an array of 1–${batchItemsMax} events.`);
  }
  const batch = new Batch<Payload>(deps, items);
  await batch.send(parseRequestOptions(options));
  // Each entry has one by now: it was refused, or sent at least once.
  return batch.entries.map((entry) => entry.result as BatchResult<Payload>);
}

/** An item on its way: refused here, still to be sent, or with what the service said last. */
interface Entry<Payload extends object> {
  readonly idempotencyKey: string;
  readonly message: NewEventMessage | undefined;
  result: BatchResult<Payload> | undefined;
}

class Batch<Payload extends object> {
  readonly entries: readonly Entry<Payload>[];
  readonly #deps: BatchDeps;
  readonly #idempotencyKeys: readonly string[];
  #pending: readonly Entry<Payload>[];
  #attempts = 0;
  #isAnswered = false;

  constructor(deps: BatchDeps, items: readonly UncheckedItem[]) {
    this.#deps = deps;
    this.entries = items.map((item) => toEntry(item, deps));
    this.#idempotencyKeys = this.entries.map((entry) => entry.idempotencyKey);
    this.#pending = this.entries.filter((entry) => entry.message !== undefined);
  }

  /**
   * Sends what is pending until nothing is, as often as the options allow. Rejects when the signal is
   * aborted, and when no attempt was answered; once one was, a failure is that of the pending items.
   */
  async send(options: RequestOptions): Promise<void> {
    options.signal?.throwIfAborted();
    if (this.#pending.length === 0) return;
    const sent = { idempotencyKeys: this.#idempotencyKeys };
    try {
      await this.#deps.call((attempt) => this.#attempt(attempt), options, sent);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!this.#isAnswered) throw error;
    }
  }

  /**
   * Throws the error of an item that is worth another attempt, for the caller to wait and repeat: of several
   * that with the longest wait, since all are sent again together.
   */
  async #attempt(options: CallOptions): Promise<void> {
    this.#attempts += 1;
    const pending = this.#pending;
    const timeoutMs = options.timeoutMs ?? 0;
    const attempt = this.#attempts;
    const factsOf = ({ idempotencyKey }: Entry<Payload>) => ({
      attempt,
      timeoutMs,
      idempotencyKey,
    });
    try {
      const { results, requestId } = await this.#request(pending, options);
      this.#isAnswered = true;
      const reading = { ...this.#deps, requestId };
      for (const [index, entry] of pending.entries()) {
        const result = results[index] as BatchCreateEventsResult; // #request counted them.
        entry.result = batchResultFromMessage(result, factsOf(entry), reading);
      }
    } catch (thrown) {
      for (const entry of pending) {
        entry.result = { ok: false, error: this.#deps.toHarborError(thrown, factsOf(entry)) };
      }
      throw thrown;
    }
    this.#pending = pending.filter((entry) => entry.result?.error?.retryable);
    const errors = this.#pending.flatMap((entry) => entry.result?.error ?? []);
    if (errors.length > 0) throw errors.reduce(longerWait);
  }

  async #request(
    pending: readonly Entry<Payload>[],
    options: CallOptions,
  ): Promise<{ results: BatchCreateEventsResult[]; requestId: string | undefined }> {
    let requestId: string | undefined;
    const onHeader = (headers: Headers) => {
      requestId = headers.get('x-request-id') ?? undefined;
    };
    const requests = pending.flatMap(({ message }) => message ?? []);
    const { results } = await this.#deps.client.batchCreateEvents(
      { requests },
      { ...options, onHeader },
    );
    if (results.length === pending.length) return { results, requestId };
    throw invalidResponse(`has ${results.length} results for ${pending.length} events`, {
      idempotencyKeys: this.#idempotencyKeys,
    });
  }
}

function longerWait(one: HarborError, other: HarborError): HarborError {
  return (other.retryAfterMs ?? 0) > (one.retryAfterMs ?? 0) ? other : one;
}

/** An item that cannot be sent is refused by itself, as the service would do it. */
function toEntry<Payload extends object>(item: UncheckedItem, rules: PayloadRules): Entry<Payload> {
  const idempotencyKey =
    item?.idempotencyKey === undefined ? makeIdempotencyKey() : item.idempotencyKey;
  try {
    refuseUnknownFields(item, batchItemNames, requestOptionNames);
    const message = newEventToMessage(item, idempotencyKey, rules);
    return { idempotencyKey, message, result: undefined };
  } catch (error) {
    if (!(error instanceof HarborError)) throw error;
    return { idempotencyKey, message: undefined, result: { ok: false, error } };
  }
}
