import { InvalidOptionError } from './errors.ts';
import type { SubscribeOptions } from './events/subscribe.ts';
import { type Names, refuseOption, refuseUnknownOptions } from './known-names.ts';
import type { PayloadIntegers } from './payload-integers.ts';
import { camelCaseKeys, type PayloadKeys, preservedKeys } from './payload-keys.ts';

/** Options of a Harbor client. */
export interface HarborOptions {
  /** A secret key (hbr_sk_…) or restricted key (hbr_rk_…) of the service; required. */
  readonly secretKey: string | undefined;
  /** Where the service is. Default: the environment's HARBOR_BASE_URL, then http://127.0.0.1:8080. */
  readonly baseUrl?: string | undefined;
  /**
   * 'camelCase' (default): payload keys are camelCase here and snake_case on the wire, by the rule of
   * toWireKeys and fromWireKeys. 'preserve': payload keys are the same on both sides.
   */
  readonly payloadKeys?: 'camelCase' | 'preserve' | undefined;
  /**
   * 'safe' (default): integers of a payload beyond 2^53 − 1 are refused, since JavaScript may have rounded
   * them; from 1e21 on they are taken. 'any': they are sent as they are.
   */
  readonly payloadIntegers?: 'safe' | 'any' | undefined;
  /** How often a failed call is sent again, 0–100; default 2, 0 means never. */
  readonly maxRetries?: number | undefined;
  /** How long one attempt may take, in milliseconds, 1–2,147,483,647; default 10,000. */
  readonly timeoutMs?: number | undefined;
  /** Used in place of the global fetch, for example for a proxy or in tests. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** Options of one call. */
export interface RequestOptions {
  /** Ends the call, waits between attempts included: it rejects at once with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** How long one attempt of this call may take, in milliseconds; default: the client's. */
  readonly timeoutMs?: number | undefined;
  /** How often this call is sent again; default: the client's; 0 means never. */
  readonly maxRetries?: number | undefined;
}

/** Names are told in these orders. */
const optionNames = {
  secretKey: true,
  baseUrl: true,
  payloadKeys: true,
  payloadIntegers: true,
  maxRetries: true,
  timeoutMs: true,
  fetch: true,
} satisfies Names<HarborOptions>;
export const requestOptionNames = {
  signal: true,
  timeoutMs: true,
  maxRetries: true,
} satisfies Names<RequestOptions>;
export const subscribeOptionNames = {
  onLive: true,
  onReconnect: true,
  ...requestOptionNames,
} satisfies Names<SubscribeOptions>;

/** Options of a client after checking, with the defaults filled in. */
export interface Settings {
  readonly secretKey: string;
  readonly baseUrl: string;
  readonly payloadKeys: PayloadKeys;
  readonly payloadIntegers: PayloadIntegers;
  readonly maxRetries: number;
  readonly timeoutMs: number;
  readonly fetch: typeof globalThis.fetch;
}

/** Checks the options of a client. Throws InvalidOptionError, which names the option and its rule. */
export function parseOptions(options: HarborOptions, environmentBaseUrl?: string): Settings {
  if (options === null || typeof options !== 'object') {
    throw new InvalidOptionError('secretKey', 'Pass options: new Harbor({ secretKey }).');
  }
  refuseUnknown(options);
  return {
    secretKey: parseSecretKey(options.secretKey),
    baseUrl: parseBaseUrl(options.baseUrl, environmentBaseUrl),
    payloadKeys: parsePayloadKeys(options.payloadKeys),
    payloadIntegers: parsePayloadIntegers(options.payloadIntegers),
    maxRetries: parseMaxRetries(options.maxRetries) ?? 2,
    timeoutMs: parseTimeoutMs(options.timeoutMs) ?? 10_000,
    fetch: parseFetch(options.fetch),
  };
}

/** Checks the options of one call, and returns those that every call has. Throws InvalidOptionError. */
export function parseRequestOptions(
  options: RequestOptions,
  names: Names<RequestOptions> = requestOptionNames,
): RequestOptions {
  refuseUnknownOptions(options, names);
  return {
    signal: options.signal,
    timeoutMs: parseTimeoutMs(options.timeoutMs),
    maxRetries: parseMaxRetries(options.maxRetries),
  };
}

/** Checks the options of a subscription. Throws InvalidOptionError. */
export function parseSubscribeOptions(options: SubscribeOptions): SubscribeOptions {
  return {
    ...parseRequestOptions(options, subscribeOptionNames),
    onLive: parseCallback('onLive', options.onLive),
    onReconnect: parseCallback('onReconnect', options.onReconnect),
  };
}

/** One that is misspelt would leave the default in its place, also where it is undefined for want of a variable. */
function refuseUnknown(options: object): void {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(optionNames, name));
  if (unknown !== undefined) throw refuseOption(unknown, optionNames);
}

/** Only the form is checked, so that a key that was cut or quoted is noticed; the service knows the rest. */
function parseSecretKey(secretKey: unknown): string {
  if (secretKey === undefined || secretKey === null || secretKey === '') {
    throw new InvalidOptionError(
      'secretKey',
      'secretKey is missing: set HARBOR_SECRET_KEY in the environment, ' +
        'and pass new Harbor({ secretKey: process.env.HARBOR_SECRET_KEY }).',
    );
  }
  if (typeof secretKey === 'string' && /^hbr_[sr]k_[A-Za-z0-9_-]+$/.test(secretKey))
    return secretKey;
  throw new InvalidOptionError(
    'secretKey',
    'secretKey is not an API key: set HARBOR_SECRET_KEY to a whole key, hbr_sk_… or hbr_rk_…, ' +
      'without quotes, spaces or line ends.',
  );
}

function parseBaseUrl(option: unknown, environment: string | undefined): string {
  const source = option === undefined && environment ? 'HARBOR_BASE_URL' : 'baseUrl';
  const value = option ?? (environment || 'http://127.0.0.1:8080');
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  const isBase = url !== undefined && /^https?:$/.test(url.protocol);
  if (isBase && !url.search && !url.hash && !url.username && !url.password) {
    return url.href.replace(/\/+$/, '');
  }
  throw new InvalidOptionError(
    'baseUrl',
    `${source} must be an http:// or https:// URL without user, query or fragment, ` +
      'for example https://events.example.com.',
  );
}

/** Checks how payload keys are to travel. Throws InvalidOptionError. */
export function parsePayloadKeys(payloadKeys: unknown): PayloadKeys {
  if (payloadKeys === undefined || payloadKeys === 'camelCase') return camelCaseKeys;
  if (payloadKeys === 'preserve') return preservedKeys;
  throw new InvalidOptionError('payloadKeys', "payloadKeys must be 'camelCase' or 'preserve'.");
}

function parsePayloadIntegers(payloadIntegers: unknown): PayloadIntegers {
  if (payloadIntegers === undefined || payloadIntegers === 'safe') return 'safe';
  if (payloadIntegers === 'any') return 'any';
  throw new InvalidOptionError('payloadIntegers', "payloadIntegers must be 'safe' or 'any'.");
}

function parseMaxRetries(maxRetries: unknown): number | undefined {
  return parseInteger('maxRetries', maxRetries, { min: 0, max: 100 });
}

/** The upper bound is that of setTimeout, which takes anything longer for 1 ms. */
function parseTimeoutMs(timeoutMs: unknown): number | undefined {
  return parseInteger('timeoutMs', timeoutMs, { min: 1, max: 2_147_483_647 });
}

function parseInteger(
  option: string,
  value: unknown,
  bounds: { min: number; max: number },
): number | undefined {
  if (value === undefined) return undefined;
  if (Number.isInteger(value)) {
    const integer = value as number;
    if (integer >= bounds.min && integer <= bounds.max) return integer;
  }
  throw new InvalidOptionError(
    option,
    `${option} must be an integer from ${bounds.min} to ${bounds.max}.`,
  );
}

export function parseCallback<Callback>(option: string, callback: Callback): Callback {
  if (callback === undefined || typeof callback === 'function') return callback;
  throw new InvalidOptionError(option, `${option} must be a function.`);
}

/** The global fetch is looked up at each call, so that what replaces it later is used. */
function parseFetch(fetch: unknown): typeof globalThis.fetch {
  if (fetch === undefined) return (input, init) => globalThis.fetch(input, init);
  if (typeof fetch === 'function') return fetch as typeof globalThis.fetch;
  throw new InvalidOptionError('fetch', 'fetch must be a function like the global fetch.');
}
