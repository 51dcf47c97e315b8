import { InvalidField } from './request-errors.ts';

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
      const name = decode(rawName, rawName);
      return [name, at < 0 ? '' : decode(pair.slice(at + 1), name)];
    });
}

function decode(text: string, name: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new InvalidField(name, 'must be UTF-8 in percent-encoding');
  }
}
