import type { RateLimits as RateLimitsMessage } from '../../gen/typescript/harbor/rate_limits/v1/rate_limits_pb.ts';
import { parseInteger, refuseField } from './events/request-fields.ts';
import { findUnknownName, hintOf } from './known-names.ts';

/** What an API key, or all keys in a workspace together, may take in each process of the service. Absent: no limit. */
export interface RateLimits {
  /** Events that are created a second, 1–1,000,000; each event of a batch counts as one. */
  readonly createsPerSecond?: number | undefined;
  /** Bytes of events that are created a second, 1,024–1,000,000,000: payload as compact JSON, subject and metadata. */
  readonly createBytesPerSecond?: number | undefined;
  /** For how many seconds of their rate both may come at once after a pause, 1–3,600; absent: 10. */
  readonly burstSeconds?: number | undefined;
  /** Streams that are open at once, 1–1,000,000. */
  readonly streams?: number | undefined;
}

/** Limits to change: what is absent stays, null takes a limit off. */
export type RateLimitChanges = { readonly [Limit in keyof RateLimits]: RateLimits[Limit] | null };

const bounds = {
  createsPerSecond: { min: 1, max: 1_000_000 },
  createBytesPerSecond: { min: 1_024, max: 1_000_000_000 },
  burstSeconds: { min: 1, max: 3_600 },
  streams: { min: 1, max: 1_000_000 },
} as const satisfies Record<keyof RateLimits, object>;
const limitNames = Object.keys(bounds) as (keyof RateLimits)[];
/** On the wire, where it takes a limit off. */
const noLimit = 0;

/** As a field of a request that creates; no field where no limit is given. Throws InvalidRequestError. */
export function newRateLimitsToMessage(limits: RateLimits | undefined) {
  return limits === undefined ? {} : { rateLimits: parseLimits(limits, refuseNull) };
}

/** As a field of a request that changes; null takes all of them off. Throws InvalidRequestError. */
export function rateLimitChangesToMessage(changes: RateLimitChanges | null | undefined) {
  if (changes === undefined) return {};
  const all = changes ?? Object.fromEntries(limitNames.map((name) => [name, null]));
  return { rateLimits: parseLimits(all, () => noLimit) };
}

/** A name that is none of a limit would leave without limit what was to be limited. */
function parseLimits(limits: RateLimitChanges, ofNull: (field: string) => number) {
  if (limits === null || typeof limits !== 'object') {
    throw refuseField('rateLimits', 'must be an object, such as { createsPerSecond: 100 }.');
  }
  const unknown = findUnknownName(limits, bounds);
  if (unknown !== undefined) {
    throw refuseField(`rateLimits.${unknown}`, `is not a limit${hintOf(unknown, bounds)}`);
  }
  return Object.fromEntries(
    limitNames.flatMap((name) => {
      const field = `rateLimits.${name}`;
      const given = limits[name];
      const limit = given === null ? ofNull(field) : parseInteger(field, given, bounds[name]);
      return limit === undefined ? [] : [[name, limit]];
    }),
  );
}

function refuseNull(field: string): never {
  throw refuseField(field, 'must be an integer; leave it out to set no limit.');
}

/** The field with the limits that there are, or no field. */
export function rateLimitsFromMessage(message: RateLimitsMessage | undefined): {
  readonly rateLimits?: RateLimits;
} {
  const set = limitNames.flatMap((name) => {
    const limit = message?.[name] ?? noLimit;
    return limit === noLimit ? [] : [[name, limit] as const];
  });
  return set.length === 0 ? {} : { rateLimits: Object.fromEntries(set) };
}
