import { isTime } from '../../calendar-time.ts';
import { InvalidField } from '../errors/request-errors.ts';
import { timeRule } from '../rpc/time.ts';
import { readParameters } from '../wire/parameters.ts';

/**
 * The parameters of a query, each at most once. A name that nobody knows is refused: a filter that is
 * misspelt would otherwise filter nothing.
 *
 * @throws InvalidField
 */
export function readQuery<Name extends string>(
  query: string,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  const values: Partial<Record<Name, string>> = {};
  for (const [name, value] of readParameters(query)) {
    const known = names.find((one) => one === name);
    if (known === undefined) {
      throw new InvalidField(name, `is not a parameter; there are ${names.join(', ')}`);
    }
    if (values[known] !== undefined) throw new InvalidField(name, 'must not be there twice');
    values[known] = value;
  }
  return values;
}

/**
 * Type patterns, separated by commas. A variable of a shell that is not set, or a space after a comma, would
 * otherwise be a filter that lets everything pass, or nothing.
 */
export function readTypes(types: string | undefined): string[] | undefined {
  const patterns = types?.split(',');
  if (patterns?.some((pattern) => pattern === '' || pattern !== pattern.trim())) {
    throw new InvalidField('types', 'must be types or patterns with a comma and no space between');
  }
  return patterns;
}

const orders = new Map([
  ['asc', 'EVENT_ORDER_ASCENDING'],
  ['desc', 'EVENT_ORDER_DESCENDING'],
]);

/** @throws InvalidField */
export function readOrder(order: string | undefined): string | undefined {
  if (order === undefined) return undefined;
  const known = orders.get(order);
  if (known === undefined) throw new InvalidField('order', 'must be asc or desc');
  return known;
}

/** A whole number for ProtoJSON, which would take an empty text for none. */
export function readWholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d{1,16}$/.test(text)) throw new InvalidField(name, 'must be a whole number');
  return Number(text);
}

/** A time as ProtoJSON takes it. */
export function readTime(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (isTime(text)) return text;
  throw new InvalidField(name, `${timeRule}, with any + as %2B`);
}
