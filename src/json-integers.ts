import { endOfScalar } from './json-tokens.ts';

/** Up to 15 digits are always exact. */
const digitsExact = 15;
/** No double has more digits before its point; BigInt would take time with the square of their number. */
const digitsMax = 309;

/** JSON has no word for it, and reads it as an infinity, which is no number of JSON either. */
const infinity = '1e999';

/**
 * The text with an infinity in place of each integer that reading it as a double would change, such as
 * 9007199254740993: what takes no infinity then refuses it where it stands. Only integers without point
 * and exponent are meant: 0.1 and 1e300 are understood as the nearest double.
 */
export function replaceInexactIntegers(text: string): string {
  const parts: string[] = [];
  let done = 0;
  for (const { start, end } of inexactIntegers(text)) {
    parts.push(text.slice(done, start), infinity);
    done = end;
  }
  return done === 0 ? text : parts.join('') + text.slice(done);
}

/** The first integer that reading it as a double would change. */
export function findInexactInteger(text: string): string | undefined {
  for (const { start, end } of inexactIntegers(text)) return text.slice(start, end);
  return undefined;
}

function* inexactIntegers(text: string): Iterable<{ start: number; end: number }> {
  if (!/\d{16}/.test(text)) return;
  let end = 0;
  for (let start = 0; start < text.length; start = Math.max(end, start + 1)) {
    end = endOfScalar(text, start);
    if (end - start > digitsExact && isInexactInteger(text.slice(start, end))) yield { start, end };
  }
}

function isInexactInteger(literal: string): boolean {
  if (!/^-?[1-9]\d*$/.test(literal)) return false;
  const double = Number(literal);
  if (Number.isSafeInteger(double)) return false;
  return (
    literal.length > digitsMax + 1 || !Number.isFinite(double) || BigInt(literal) !== BigInt(double)
  );
}
