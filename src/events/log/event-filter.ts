import { matchesAny } from '../../type-pattern.ts';
import type { Event } from '../event.ts';

/** Which events of a log are wanted: those that pass every filter. */
export interface EventFilter {
  /** Undefined: about anything. */
  readonly subject: string | undefined;
  /** One that matches is enough; empty: every type. */
  readonly typePatterns: readonly string[];
}

/** No filter at all. */
export const everyEvent: EventFilter = { subject: undefined, typePatterns: [] };

export function passes(
  { subject, typePatterns }: EventFilter,
  event: Pick<Event, 'type' | 'subject'>,
): boolean {
  return (
    (subject === undefined || event.subject === subject) && matchesAny(typePatterns, event.type)
  );
}

/** Types, and beginnings of types: one that matches is enough. None of them matches what another one does. */
export interface TypeMatch {
  readonly types: readonly string[];
  readonly prefixes: readonly string[];
}

/** Every type begins with nothing. */
export const anyType: TypeMatch = { types: [], prefixes: [''] };

/** What patterns match: `anyType` itself where that is every type. */
export function typeMatchOf(patterns: readonly string[]): TypeMatch {
  if (patterns.length === 0 || patterns.includes('*')) return anyType;
  const isPrefix = (pattern: string) => pattern.endsWith('*');
  const distinct = [...new Set(patterns)];
  const beginnings = distinct.filter(isPrefix).map((pattern) => pattern.slice(0, -1));
  const prefixes = beginnings.filter(
    (one) => !beginnings.some((other) => other !== one && one.startsWith(other)),
  );
  const types = distinct.filter(
    (pattern) => !isPrefix(pattern) && !prefixes.some((prefix) => pattern.startsWith(prefix)),
  );
  return { types, prefixes };
}

export function isEverything({ subject, typePatterns }: EventFilter): boolean {
  return subject === undefined && typeMatchOf(typePatterns) === anyType;
}
