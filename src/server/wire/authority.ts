/** A host name or address, and perhaps a port: what `Host` and `:authority` may say. */
const form = /^(?:[\w.-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?$/i;

/**
 * Whether an authority is one. Connect would build a URL with it, and a URL that cannot be built ends
 * the process; here nothing is built with it, and whoever sends such a thing is told so.
 */
export function isAuthority(authority: string | undefined): boolean {
  if (authority === undefined) return false;
  const match = form.exec(authority);
  return match !== null && Number(match[1] ?? 0) <= 65_535;
}
