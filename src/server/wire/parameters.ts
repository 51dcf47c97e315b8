import { InvalidField } from '../errors/request-errors.ts';

/**
 * The parameters of a query in their order, decoded by the rules of HTML's forms. What is not percent-encoded
 * UTF-8 is refused: URLSearchParams would put U+FFFD in its place, and so look for something else than was
 * asked for.
 *
 * @param query with its question mark, or empty.
 * @throws InvalidField
 */
export function readParameters(query: string): [name: string, value: string][] {
  return query
    .slice(1)
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=');
      const rawName = at < 0 ? pair : pair.slice(0, at);
      const name = decodePercent(spaced(rawName), rawName);
      return [name, at < 0 ? '' : decodePercent(spaced(pair.slice(at + 1)), name)];
    });
}

const spaced = (text: string) => text.replaceAll('+', ' ');

/**
 * The text that a part of a path or query stands for.
 *
 * @param name of the field that the error names.
 * @throws InvalidField
 */
export function decodePercent(text: string, name: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new InvalidField(name, 'must be UTF-8 in percent-encoding');
  }
}
