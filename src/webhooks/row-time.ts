/** A time as statements return it: in milliseconds since the beginning of 1970, named `<name>_ms`. */
export function selectMs(expression: string, name: string): string {
  return `floor(extract(epoch from ${expression}) * 1000)::float8 as ${name}_ms`;
}

/** The time of such a column; undefined for none. */
export function dateOfMs(ms: number | null): Date | undefined {
  return ms === null ? undefined : new Date(ms);
}
