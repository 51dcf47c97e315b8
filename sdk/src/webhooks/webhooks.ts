import { InvalidOptionError, WebhookVerificationError } from '../errors.ts';
import type { Event } from '../events/event.ts';
import type { JsonObject } from '../json.ts';
import { type Names, refuseUnknownOptions } from '../known-names.ts';
import { parsePayloadKeys } from '../options.ts';
import { camelCaseKeys, type PayloadKeys } from '../payload-keys.ts';
import { eventFromJson } from './event-from-json.ts';
import { fromBase64, importSecrets, isSame, sign, toBase64 } from './signature.ts';
import {
  readSignedRequest,
  toBytes,
  version,
  type WebhookBody,
  type WebhookHeaders,
  type WebhookSecrets,
} from './webhook-request.ts';

export interface VerifyOptions {
  /**
   * How far the time of the request may be from the time here, either way, in seconds; default 300. Infinity for a request
   * that was recorded earlier.
   */
  readonly toleranceSeconds?: number | undefined;
}

export interface UnwrapOptions extends VerifyOptions {
  /** As in the options of a client; default: the client's, and 'camelCase' without one. */
  readonly payloadKeys?: 'camelCase' | 'preserve' | undefined;
}

export interface SignOptions {
  /** `webhook-id`, the id of the event; default: an id that no event has. */
  readonly id?: string | undefined;
  /** `webhook-timestamp`; default: now. */
  readonly timestamp?: Date | undefined;
}

const verifyOptionNames = { toleranceSeconds: true } satisfies Names<VerifyOptions>;
const unwrapOptionNames = {
  ...verifyOptionNames,
  payloadKeys: true,
} satisfies Names<UnwrapOptions>;
const signOptionNames = { id: true, timestamp: true } satisfies Names<SignOptions>;

const toleranceSecondsUsual = 300;
const noEventId = 'evt_00000000000000000000000000';

/**
 * Webhooks as the service sends them, by Standard Webhooks. Needs no client and calls nothing; runs wherever there is
 * WebCrypto.
 *
 * ```ts
 * const event = await webhooks.unwrap(await request.text(), request.headers, secret);
 * ```
 */
export class Webhooks {
  readonly #keys: PayloadKeys;

  /** @internal */
  constructor(keys: PayloadKeys) {
    this.#keys = keys;
  }

  /**
   * The event of a request that one of the secrets has signed. Take its `id` to know it again: the same event may come
   * more than once.
   *
   * Rejects with WebhookVerificationError, whose `check` says which check failed; with InvalidOptionError for a secret,
   * a body or an option that is none.
   */
  async unwrap<Payload extends object = JsonObject>(
    body: WebhookBody,
    headers: WebhookHeaders,
    secret: WebhookSecrets,
    options: UnwrapOptions = {},
  ): Promise<Event<Payload>> {
    refuseUnknownOptions(options, unwrapOptionNames);
    const { payloadKeys, toleranceSeconds } = options;
    const keys = payloadKeys === undefined ? this.#keys : parsePayloadKeys(payloadKeys);
    const bytes = toBytes(body);
    await this.verify(bytes, headers, secret, { toleranceSeconds });
    return eventFromJson<Payload>(bytes, keys);
  }

  /**
   * Resolves when one of the secrets has signed the request, and within the tolerance. Rejects as `unwrap` does, but reads
   * no event.
   */
  async verify(
    body: WebhookBody,
    headers: WebhookHeaders,
    secret: WebhookSecrets,
    options: VerifyOptions = {},
  ): Promise<void> {
    refuseUnknownOptions(options, verifyOptionNames);
    const toleranceSeconds = parseTolerance(options.toleranceSeconds);
    const bytes = toBytes(body);
    const keys = await importSecrets(secret);
    const { id, timestamp, signatures } = readSignedRequest(headers);
    requireRecent(Number(timestamp), toleranceSeconds);
    const given = signatures.flatMap((signature) => fromBase64(signature) ?? []);
    const content = { id, timestamp, body: bytes };
    const expected = await Promise.all(keys.map((key) => sign(key, content)));
    // All of them are compared, so that the time does not tell which one it was.
    const matches = expected.flatMap((own) => given.filter((signature) => isSame(own, signature)));
    if (matches.length === 0) {
      throw new WebhookVerificationError(
        'signature',
        'No signature of the request is by the secret. Check that the secret is that of the endpoint, and that the ' +
          'body is what came in, byte for byte.',
      );
    }
  }

  /** The headers that the service sends with a body, for the tests of a receiver; several secrets sign all. */
  async sign(
    body: WebhookBody,
    secret: WebhookSecrets,
    options: SignOptions = {},
  ): Promise<Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>> {
    refuseUnknownOptions(options, signOptionNames);
    const { id = noEventId, timestamp = new Date() } = options;
    const seconds = Math.floor(timestamp.getTime() / 1_000);
    if (Number.isNaN(seconds)) {
      throw new InvalidOptionError('timestamp', 'timestamp must be a valid Date.');
    }
    const content = { id, timestamp: `${seconds}`, body: toBytes(body) };
    const keys = await importSecrets(secret);
    const signatures = await Promise.all(keys.map((key) => sign(key, content)));
    return {
      'webhook-id': id,
      'webhook-timestamp': content.timestamp,
      'webhook-signature': signatures.map((bytes) => version + toBase64(bytes)).join(' '),
    };
  }
}

/** Webhooks with payload keys in camelCase. */
export const webhooks: Webhooks = /* @__PURE__ */ new Webhooks(camelCaseKeys);

function parseTolerance(toleranceSeconds: unknown = toleranceSecondsUsual): number {
  if (typeof toleranceSeconds === 'number' && toleranceSeconds > 0) return toleranceSeconds;
  throw new InvalidOptionError(
    'toleranceSeconds',
    'toleranceSeconds must be a number greater than 0.',
  );
}

function requireRecent(timestamp: number, toleranceSeconds: number): void {
  const ageSeconds = Math.floor(Date.now() / 1_000) - timestamp;
  if (Math.abs(ageSeconds) <= toleranceSeconds) return;
  const when = ageSeconds > 0 ? `${ageSeconds} s ago` : `${-ageSeconds} s in the future`;
  throw new WebhookVerificationError(
    'timestamp',
    `The request was sent ${when}, by its own account; ${toleranceSeconds} s are tolerated.`,
  );
}
