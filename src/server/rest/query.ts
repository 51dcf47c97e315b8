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

/** The parameter `types` is another name for `type_patterns`, which it was called at first. */
const typePatternsAlias = 'types';

/**
 * Type patterns, separated by commas, which no type holds.
 *
 * @throws InvalidField when they are there by both of their names.
 */
export function readTypePatterns(query: {
  readonly type_patterns?: string;
  readonly types?: string;
}): string[] | undefined {
  const { type_patterns: patterns, types } = query;
  if (patterns !== undefined && types !== undefined) {
    throw new InvalidField(
      'type_patterns',
      'must not be there together with types, another name for it',
    );
  }
  return (patterns ?? types)?.split(',');
}

/** What an error says about a field, by the name that the caller has given it. */
export function inWordsOf(query: string): (text: string) => string {
  const named = query.split('&').some((pair) => pair.startsWith(`${typePatternsAlias}=`));
  return (text) =>
    named ? text.replaceAll(/\btype_patterns(?=\[\d+\])/g, typePatternsAlias) : text;
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
