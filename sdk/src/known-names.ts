import { InvalidOptionError } from './errors.ts';
import { refuseField } from './events/request-fields.ts';
import { findNearestName } from './nearest-name.ts';

/** The names that a type has: `satisfies Names<Type>` refuses a list that lacks one, or has one too many. */
export type Names<Known> = { readonly [Name in keyof Known]-?: true };

/**
 * A field that there is not would be passed over, and with it a filter, a limit or an idempotency key. One that is undefined
 * counts as absent. Throws InvalidRequestError.
 *
 * @param options the names of the call's options, where they are its second argument
 */
export function refuseUnknownFields(request: object, fields: object, options: object = {}): void {
  if (!isObject(request)) throw refuseField('request', 'must be an object.');
  const name = findUnknownName(request, fields);
  if (name === undefined) return;
  const option = findNearestName(name, Object.keys(options));
  const hint =
    option === undefined || findNearestName(name, Object.keys(fields)) !== undefined
      ? hintOf(name, fields)
      : `; ${option} belongs into the options, the second argument.`;
  throw refuseField(name, `is not a field of this request${hint}`);
}

/** The same for options: one that is passed over would leave the default in its place. Throws InvalidOptionError. */
export function refuseUnknownOptions(options: object, names: object): void {
  if (!isObject(options)) {
    throw new InvalidOptionError('options', 'options must be an object.');
  }
  const name = findUnknownName(options, names);
  if (name !== undefined) throw refuseOption(name, names);
}

/** The error of an option that there is not. */
export function refuseOption(name: string, names: object): InvalidOptionError {
  return new InvalidOptionError(name, `${name} is not an option${hintOf(name, names)}`);
}

/** The first of its own names that is not known, unless its value is undefined. */
export function findUnknownName(given: object, known: object): string | undefined {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(known, name) && given[name as keyof object] !== undefined) return name;
  }
  return undefined;
}

/** What was probably meant, or all that there is. */
export function hintOf(name: string, known: object): string {
  const names = Object.keys(known);
  const nearest = findNearestName(name, names);
  if (nearest !== undefined) return `; did you mean ${nearest}?`;
  const last = names.pop();
  return names.length === 0
    ? `; there is ${last}.`
    : `; there are ${names.join(', ')} and ${last}.`;
}

/** A text, a list, a function or a signal in its place would be passed over as a whole. */
function isObject(given: unknown): boolean {
  return Object.prototype.toString.call(given) === '[object Object]';
}
