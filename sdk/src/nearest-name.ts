/** Of the names the one that was probably meant: spelt almost so, or with more to it. Undefined: none is near. */
export function findNearestName(given: string, names: readonly string[]): string | undefined {
  const asked = lettersOf(given);
  if (asked.length < 3) return undefined;
  const longer = names.find((name) => lettersOf(name).includes(asked));
  if (longer !== undefined) return longer;
  const [nearest] = names
    .map((name) => ({ name, edits: editsBetween(asked, lettersOf(name)) }))
    .filter(({ name, edits }) => edits * 3 <= name.length)
    .sort((one, other) => one.edits - other.edits);
  return nearest?.name;
}

/** What is compared: `base_url`, `baseURL` and `baseUrl` are the same. */
function lettersOf(name: string): string {
  return name
    .slice(0, 64)
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '');
}

/** How many letters are put in, taken away or changed between the two. */
function editsBetween(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (const [index, letter] of [...one].entries()) {
    const next = [index + 1];
    for (const [column, otherLetter] of [...other].entries()) {
      const changed = (row[column] ?? 0) + (letter === otherLetter ? 0 : 1);
      next.push(Math.min(changed, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
