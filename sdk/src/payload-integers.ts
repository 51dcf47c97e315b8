import type { JsonValue } from './json.ts';
import { memberPath } from './payload-path.ts';
import { refusePayload } from './payload-refusal.ts';

/** Which integers a payload may hold: what `payloadIntegers` in the options chooses. */
export type PayloadIntegers = 'safe' | 'any';

/** From here on JavaScript writes an exponent, and nobody takes the number for an exact one. */
const exponentFrom = 1e21;

/**
 * Throws InvalidRequestError, with the path, for an integer beyond 2^53 − 1 either way: it may have been
 * another one before JavaScript rounded it, as 9007199254740993 is when it is written in a program.
 */
export function refuseUnsafeIntegers(value: JsonValue, path = 'payload'): void {
  if (typeof value === 'number') {
    if (!Number.isInteger(value) || Number.isSafeInteger(value)) return;
    if (Math.abs(value) >= exponentFrom) return;
    throw refusePayload(
      path,
      `is ${value}, an integer beyond 2^53 − 1 that may have been rounded. ` +
        "Send it as a string, or set payloadIntegers: 'any'.",
    );
  }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) refuseUnsafeIntegers(item, `${path}[${index}]`);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      refuseUnsafeIntegers(member, memberPath(path, key));
    }
  }
}
