import { matchesAny } from '../../type-pattern.ts';

/** What order an endpoint is promised. */
export type Ordering = 'none' | 'workspace' | 'subject';

export interface TargetSecret {
  readonly id: string;
  /** Encrypted. */
  readonly ciphertext: Buffer;
  /** Undefined: it has no end. */
  readonly expiresAt: Date | undefined;
}

/** An endpoint as those who send to it know it; ids are UUIDs, as the database has them. */
export interface Target {
  readonly id: string;
  readonly workspaceId: string;
  readonly url: string;
  /** Empty: every type but the service's own. */
  readonly typePatterns: readonly string[];
  /** Undefined: about anything. */
  readonly subject: string | undefined;
  readonly maxInFlight: number;
  readonly timeoutMs: number;
  readonly ordering: Ordering;
  /** Encrypted; undefined where there are none. */
  readonly headers: Buffer | undefined;
  /** The newest first: each of them signs. */
  readonly secrets: readonly TargetSecret[];
  readonly status: 'enabled' | 'paused' | 'disabled';
}

/** What walks the log for a target: its live feed, which has no end, or a replay. */
export interface Cursor {
  readonly id: string;
  readonly target: Target;
  readonly isReplay: boolean;
  /** Of a replay, within those of the target; empty: all of them. */
  readonly typePatterns: readonly string[];
  /** Only what was given up for the target. */
  readonly onlyFailed: boolean;
  /** Undefined: there is none. */
  readonly endSequence: number | undefined;
  /** Up to where the log was gone through, as the database has it. */
  position: number;
  /** Up to where it was gone through without a match since; it costs nothing to go through that again. */
  scanned: number;
  /** When it last had its turn, counted over all cursors: who was served longest ago comes first. */
  turn: number;
}

/** What of a cursor decides what it is sent. */
export interface Matcher {
  readonly target: Pick<Target, 'typePatterns' | 'subject'>;
  /** Within those of the target; empty: all of them. */
  readonly typePatterns: readonly string[];
}

/** What of an event decides who is sent it. */
export interface Matchable {
  readonly type: string;
  readonly subject?: string | undefined;
  readonly payload: { readonly [name: string]: unknown };
}

const ownTypePrefix = 'harbor.';

/**
 * Whether a cursor's target is sent an event. The service's own events come only by a pattern that asks for them, and
 * never those about the endpoint itself, which would go round and round.
 *
 * @param endpointId the target's id as payloads name it, `whe_…`.
 */
export function isFor(cursor: Matcher, endpointId: string, event: Matchable): boolean {
  const { typePatterns, subject } = cursor.target;
  if (subject !== undefined && event.subject !== subject) return false;
  if (!isTypeFor(typePatterns, event.type)) return false;
  if (event.type.startsWith(ownTypePrefix) && event.payload.endpoint_id === endpointId)
    return false;
  return matchesAny(cursor.typePatterns, event.type);
}

/** Whether patterns ask for a type: for one of the service's own, only those that begin as its types do. */
export function isTypeFor(typePatterns: readonly string[], type: string): boolean {
  if (!type.startsWith(ownTypePrefix)) return matchesAny(typePatterns, type);
  const asked = typePatterns.filter((pattern) => pattern.startsWith(ownTypePrefix));
  return asked.length > 0 && matchesAny(asked, type);
}

/** Deliveries of a target with the same lane go one after another; undefined: whenever there is room. */
export function laneOf(
  { ordering }: Target,
  { subject }: { readonly subject?: string | undefined },
): string | undefined {
  if (ordering === 'none') return undefined;
  return ordering === 'workspace' ? '' : subject;
}

/** How far a cursor has to go: to the end of its range, or of the log. */
export function goalOf(cursor: Cursor, logEnd: number): number {
  return Math.min(logEnd, cursor.endSequence ?? Number.POSITIVE_INFINITY);
}
