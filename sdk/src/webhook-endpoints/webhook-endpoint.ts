import type { Names } from '../known-names.ts';

/** What of the order of the log an endpoint is promised. */
export type WebhookOrdering = 'none' | 'workspace' | 'subject';

/** What can be said of an endpoint. */
interface EndpointSettings {
  /** Where requests are sent: https, or http where the operator allows the address. */
  readonly url: string;
  /** What people call it; at most 255 characters. */
  readonly description?: string | undefined;
  /**
   * It is sent events whose type matches one of these, up to 20: a type, or a beginning of types and '*'. Empty means every
   * type that the API key may read, but the service's own ('harbor.*').
   */
  readonly typePatterns?: readonly string[] | undefined;
  /** Headers to send besides, up to 16. They are kept encrypted, and never shown. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Requests at once, 1–1,000; default 10. */
  readonly maxInFlight?: number | undefined;
  /** How long an answer is waited for, in milliseconds, 1,000–30,000; default 15,000. */
  readonly timeoutMs?: number | undefined;
  /**
   * 'none' (default): at least once, in any order. 'workspace': in the order of the log. 'subject': in that order among
   * events about the same.
   */
  readonly ordering?: WebhookOrdering | undefined;
}

const settingNames = {
  url: true,
  description: true,
  typePatterns: true,
  headers: true,
  maxInFlight: true,
  timeoutMs: true,
  ordering: true,
} satisfies Names<EndpointSettings>;

/** An endpoint to create. */
export interface NewWebhookEndpoint extends EndpointSettings {
  /** The workspace whose log it follows: ws_… */
  readonly workspaceId: string;
  /** It is sent events about this alone. */
  readonly subject?: string | undefined;
  /** Requests a second, 1–10,000; default: no limit. */
  readonly maxPerSecond?: number | undefined;
  /** Begin after this sequence; 0: with the first event that is kept. Default: from now. */
  readonly startAfterSequence?: number | undefined;
  /** Begin with the first event that was created after this time; not together with `startAfterSequence`. */
  readonly startAfterTime?: Date | undefined;
  /** Requests a second while it catches up with the past, 1–10,000; default: `maxPerSecond`. */
  readonly catchUpMaxPerSecond?: number | undefined;
}

/** @internal */
export const newEndpointNames = {
  workspaceId: true,
  ...settingNames,
  subject: true,
  maxPerSecond: true,
  startAfterSequence: true,
  startAfterTime: true,
  catchUpMaxPerSecond: true,
} satisfies Names<NewWebhookEndpoint>;

/** What to change of an endpoint; what is absent stays. */
export interface WebhookEndpointChanges extends Partial<EndpointSettings> {
  /** null: about anything. */
  readonly subject?: string | null | undefined;
  /** null: no limit. */
  readonly maxPerSecond?: number | null | undefined;
}

/** @internal */
export const endpointChangeNames = {
  ...settingNames,
  subject: true,
  maxPerSecond: true,
} satisfies Names<WebhookEndpointChanges>;

/** Where the events of a workspace are sent, signed, and how that fares. */
export interface WebhookEndpoint {
  /** whe_ and 26 letters and digits. */
  readonly id: string;
  readonly workspaceId: string;
  readonly url: string;
  readonly description: string;
  readonly typePatterns: readonly string[];
  readonly subject?: string;
  /** Sorted, in lower case. */
  readonly headerNames: readonly string[];
  readonly maxInFlight: number;
  /** Absent: no limit. */
  readonly maxPerSecond?: number;
  readonly timeoutMs: number;
  readonly ordering: WebhookOrdering;
  /** 'paused' by a caller, 'disabled' by the service. */
  readonly status: 'enabled' | 'paused' | 'disabled';
  /** Why the service gave it up: it answered 410 ('gone'), or with nothing but failures for five days. */
  readonly disabledReason?: 'gone' | 'failing';
  readonly statusChangedAt: Date;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** The API key that created it; absent for the command line. */
  readonly apiKeyId?: string;
  /** Events up to this sequence have become deliveries, or do not match. */
  readonly position: number;
  /** How many sequences lie beyond the position. */
  readonly lag: number;
  /**
   * Why it takes up no new events though it is enabled: 20 failures in a row ('failing'), a 429 ('held'), 1,000 deliveries that have
   * not ended ('unfinished'), or 10,000 that wait behind others with the same subject ('parked'). Absent: it takes them up.
   */
  readonly standingReason?: 'failing' | 'held' | 'unfinished' | 'parked';
  /** When the oldest event was recorded that is not delivered yet; absent: there is none. */
  readonly oldestUndeliveredAt?: Date;
  readonly lastSuccessAt?: Date;
  readonly lastFailureAt?: Date;
  /** Until when it is left alone but for a probe, after failures in a row. */
  readonly circuitOpenUntil?: Date;
}

/** What `create` returns. */
export interface CreatedWebhookEndpoint extends WebhookEndpoint {
  /** By which its requests are signed: whsec_… Absent where `replayed`: see `revealSecret`. */
  readonly secret?: string;
  /** An earlier call with the same request id has created it. */
  readonly replayed: boolean;
}

/** A secret by which requests are signed. */
export interface WebhookSecret {
  readonly secret: string;
  readonly createdAt: Date;
  /** When it stops signing; absent for the newest. */
  readonly expiresAt?: Date;
}
