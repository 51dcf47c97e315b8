/**
 * Like JSON.parse, but reads every member name as it is written: that of Node 23 and later takes some names with an
 * escape for others that it has read before (nodejs/node#63785). Names with an escape are read alone, and stand under
 * others, without one, until the rest is read.
 *
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!text.includes('\\')) return value;
  const mark = findUnused(text);
  const names: string[] = [];
  const replaced = text.replace(strings, (string, colon: string | undefined) => {
    if (colon === undefined || !string.includes('\\')) return string;
    const name = string.slice(0, string.length - colon.length);
    return `"${mark}${names.push(JSON.parse(name) as string) - 1}"${colon}`;
  });
  if (names.length === 0) return value;
  return rename(JSON.parse(replaced), (name) =>
    name.startsWith(mark) ? (names[Number(name.slice(mark.length))] as string) : name,
  );
}

/** Every string of a text that is JSON, and the colon behind those that are names. */
const strings = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/g;

/** Of private use: hardly anybody has it in a text, and never as often as this then has it. */
const privateUse = '\uE000';

function findUnused(text: string): string {
  let mark = privateUse;
  while (text.includes(mark)) mark += privateUse;
  return mark;
}

/** Object.fromEntries defines members, so that the key `__proto__` is data like any other. */
function rename(value: unknown, toName: (name: string) => string): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((item) => rename(item, toName));
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [toName(name), rename(member, toName)]),
  );
}
