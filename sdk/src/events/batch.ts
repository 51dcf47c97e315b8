import type { HarborError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import type { Names } from '../known-names.ts';
import { type CreatedEvent, type NewEvent, newEventNames } from './event.ts';

/** How many events one batch takes. */
export const batchItemsMax = 500;

/** An event of a batch to create. */
export interface BatchItem<Payload extends object = JsonObject> extends NewEvent<Payload> {
  /**
   * As in CreateOptions. Default: a key made for this call; `error.idempotencyKey` of a result that
   * failed, or `error.idempotencyKeys` of a call that failed, has it.
   */
  readonly idempotencyKey?: string | undefined;
}

/** @internal */
export const batchItemNames = {
  ...newEventNames,
  idempotencyKey: true,
} satisfies Names<BatchItem>;

/** What became of one event of a batch: `ok` says which. */
export type BatchResult<Payload extends object = JsonObject> =
  | {
      readonly ok: true;
      /** What `create` would have resolved to. */
      readonly event: CreatedEvent<Payload>;
      readonly error?: undefined;
    }
  | {
      readonly ok: false;
      /** What `create` would have rejected with. */
      readonly error: HarborError;
      readonly event?: undefined;
    };
