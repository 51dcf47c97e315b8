/** A place in a trace, as W3C Trace Context has it. */
export interface TraceContext {
  /** 32 digits of lower-case hexadecimal. */
  readonly traceId: string;
  /** 16 of them. */
  readonly spanId: string;
  /** Two of them: bit 0 says that the trace is sampled. */
  readonly flags: string;
}

/** A `traceparent`: version, trace, parent and flags; later versions may add more behind a hyphen. */
const form =
  /^(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** What a `traceparent` says; undefined where there is none, or it is not valid: then nobody's trace goes on here. */
export function parseTraceparent(text: string | null | undefined): TraceContext | undefined {
  // Most calls have none.
  if (text === undefined || text === null) return undefined;
  const parts = form.exec(text);
  if (parts === null) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', more] = parts;
  if (version === '00' && more !== undefined) return undefined;
  return { traceId, spanId, flags };
}

/** In version 00. */
export function toTraceparent({ traceId, spanId, flags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${flags}`;
}

/** A valid `traceparent` of whatever version, in version 00. */
export function readTraceparent(text: string | null | undefined): string | undefined {
  const context = parseTraceparent(text);
  return context && toTraceparent(context);
}
