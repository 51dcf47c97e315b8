import { type Grant, mayUseType, mayUseWorkspace } from '../../api-keys/index.ts';
import { coversTypePattern } from '../../type-pattern.ts';
import { WebhookSettingInvalid } from '../webhook-errors.ts';

export type Ordering = 'none' | 'workspace' | 'subject';
export type EndpointStatus = 'enabled' | 'paused' | 'disabled';
/** Why an enabled endpoint takes up nothing new. */
export type StandingReason = 'failing' | 'held' | 'unfinished' | 'parked';

/** What a caller says of an endpoint; its fields keep the contract's bounds. */
export interface EndpointSettings {
  readonly url: string;
  readonly description: string;
  /** Empty: every type but the service's own. */
  readonly typePatterns: readonly string[];
  /** Undefined: about anything. */
  readonly subject: string | undefined;
  readonly maxInFlight: number;
  /** Undefined: no limit. */
  readonly maxPerSecond: number | undefined;
  readonly timeoutMs: number;
  readonly ordering: Ordering;
}

/** An endpoint and how it fares. */
export interface WebhookEndpoint extends EndpointSettings {
  /** `whe_…`. */
  readonly id: string;
  readonly workspaceId: string;
  /** Sorted; values are not shown. */
  readonly headerNames: readonly string[];
  readonly status: EndpointStatus;
  readonly disabledReason: 'gone' | 'failing' | undefined;
  readonly statusChangedAt: Date;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly apiKeyId: string | undefined;
  readonly position: number;
  readonly lag: number;
  readonly standingReason: StandingReason | undefined;
  readonly oldestUndeliveredAt: Date | undefined;
  readonly lastSuccessAt: Date | undefined;
  readonly lastFailureAt: Date | undefined;
  readonly circuitOpenUntil: Date | undefined;
}

/** Where a new endpoint begins. */
export type StartFrom =
  | { readonly kind: 'now' }
  | { readonly kind: 'sequence'; readonly after: number }
  | { readonly kind: 'time'; readonly after: Date };

/** In a workspace. */
export const endpointsMax = 1_000;
/** Of an endpoint, in their overlap at once. */
export const oldSecretsMax = 10;
export const maxInFlightUsual = 10;
export const timeoutMsUsual = 15_000;

/**
 * Whether an endpoint exists for a key: one that is restricted to workspaces or types covers no endpoint that is sent
 * more than the key could read.
 */
export function coversEndpoint(
  grant: Grant,
  { workspaceId, typePatterns }: Pick<WebhookEndpoint, 'workspaceId' | 'typePatterns'>,
): boolean {
  if (!mayUseWorkspace(grant, workspaceId)) return false;
  if (grant.typePatterns.length === 0) return true;
  return typePatterns.length === 0
    ? mayUseType(grant, '*')
    : typePatterns.every((pattern) =>
        grant.typePatterns.some((own) => coversTypePattern(own, pattern)),
      );
}

/** Names that belong to HTTP, or say what webhooks say. */
const ownHeaders =
  /^(?:host|content-.*|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-.*|webhook-.*|harbor-.*)$/;

/**
 * Headers by their names in lower case.
 *
 * @throws WebhookSettingInvalid for one that is not the user's to give, or stands there twice.
 */
export function checkHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const checked = new Map<string, string>();
  for (const [given, value] of Object.entries(headers)) {
    const name = given.toLowerCase();
    if (ownHeaders.test(name)) {
      throw new WebhookSettingInvalid(
        'headers',
        `must not set ${name}, which belongs to HTTP or to webhooks`,
      );
    }
    if (checked.has(name)) throw new WebhookSettingInvalid('headers', `must not set ${name} twice`);
    checked.set(name, value);
  }
  return Object.fromEntries([...checked].sort(([a], [b]) => (a < b ? -1 : 1)));
}
