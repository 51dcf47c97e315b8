/** Type patterns: an event type, or the beginning of some followed by `*`. `*` alone is every type. */

export function matchesTypePattern(pattern: string, type: string): boolean {
  return pattern.endsWith('*') ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}

/** Whether every type that `inner` matches is one that `outer` matches. */
export function coversTypePattern(outer: string, inner: string): boolean {
  return outer.endsWith('*') ? inner.startsWith(outer.slice(0, -1)) : outer === inner;
}

/** Whether a type matches one of the patterns; no patterns at all match every type. */
export function matchesAny(patterns: readonly string[], type: string): boolean {
  return patterns.length === 0 || patterns.some((pattern) => matchesTypePattern(pattern, type));
}
