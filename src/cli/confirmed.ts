/** What cannot be taken back was asked for without its id once more. */
class NotConfirmed extends Error {
  override readonly name = 'NotConfirmed';
}

/** @param consequence what happens, for whoever has not said that it is what they want. */
export function assertConfirmed(
  id: string,
  confirm: string | undefined,
  consequence: string,
): void {
  if (confirm === id) return;
  const quoted = /^[\w.:/-]+$/.test(id) ? id : `'${id.replaceAll("'", `'\\''`)}'`;
  throw new NotConfirmed(`${consequence}: if that is what you want, add --confirm ${quoted}`);
}
