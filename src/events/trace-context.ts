/** A `traceparent`: version, trace, parent and flags; later versions may add more behind a hyphen. */
const form =
  /^(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * The header `traceparent` as W3C Trace Context has it, in its version 00; undefined where there is none, or it
 * is not valid: then nobody's trace goes on here.
 */
export function readTraceContext(header: Headers): string | undefined {
  const parts = form.exec(header.get('traceparent') ?? '');
  if (parts === null) return undefined;
  const [, version, traceId, parentId, flags, more] = parts;
  if (version === '00' && more !== undefined) return undefined;
  return `00-${traceId}-${parentId}-${flags}`;
}
