import type { JsonObject } from '@bufbuild/protobuf';
import { InvalidField } from '../errors/request-errors.ts';
import { readParameters } from '../wire/parameters.ts';
import type { RestParameter } from './parameters.ts';
import type { RestRoute } from './rest-routes.ts';

/**
 * The parameters of a query, each at most once. A name that nobody knows is refused: a filter that is
 * misspelt would otherwise filter nothing.
 *
 * @throws InvalidField
 */
export function readQuery(query: string, names: readonly string[]): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of readParameters(query)) {
    if (!names.includes(name)) {
      throw new InvalidField(name, `is not a parameter; there are ${names.join(', ')}`);
    }
    if (values.has(name)) throw new InvalidField(name, 'must not be there twice');
    values.set(name, value);
  }
  return values;
}

/**
 * The fields that a route's query gives, in ProtoJSON.
 *
 * @param more names that are parameters, too, and no fields.
 * @throws InvalidField
 */
export function readFields(
  { parameters }: RestRoute,
  query: string,
  more: readonly string[] = [],
): JsonObject {
  const names = parameters.flatMap(({ name, alias }) =>
    alias === undefined ? name : [name, alias],
  );
  const values = readQuery(query, [...names, ...more]);
  const fields: JsonObject = {};
  for (const parameter of parameters) {
    const text = findValue(parameter, values);
    if (text !== undefined) fields[parameter.name] = parameter.read(text);
  }
  return fields;
}

function findValue(
  { name, alias }: RestParameter,
  values: ReadonlyMap<string, string>,
): string | undefined {
  const value = values.get(name);
  if (alias === undefined || !values.has(alias)) return value;
  if (value === undefined) return values.get(alias);
  throw new InvalidField(name, `must not be there together with ${alias}, another name for it`);
}

/** Puts the names that the caller has used in place of those of the contract. */
export function inWordsOf({ parameters }: RestRoute, query: string): (text: string) => string {
  const used = parameters.flatMap(({ name, alias }) =>
    alias !== undefined && new RegExp(`[?&]${alias}=`).test(query) ? [{ name, alias }] : [],
  );
  return (text) =>
    used.reduce(
      (told, { name, alias }) => told.replaceAll(new RegExp(`\\b${name}(?=\\[\\d)`, 'g'), alias),
      text,
    );
}
