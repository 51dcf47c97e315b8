import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import { invalidResponse } from './events/from-message.ts';
import { refuseField } from './events/request-fields.ts';

/** The names of an enum's values here, and what they are on the wire. */
export type Names<Name extends string> = Readonly<Record<Name, number>>;

/** The name of a value. Throws InternalError (RESPONSE_INVALID) for one that this version does not know. */
export function nameOf<Name extends string>(names: Names<Name>, value: number): Name {
  const found = findName(names, value);
  if (found === undefined) throw invalidResponse(`holds ${value} where a newer client is needed`);
  return found;
}

export function findName<Name extends string>(names: Names<Name>, value: number): Name | undefined {
  return (Object.keys(names) as Name[]).find((name) => names[name] === value);
}

/** The value of a name that a caller gave; undefined for none. Throws InvalidRequestError. */
export function parseName<Value extends number>(
  field: string,
  values: Readonly<Record<string, Value>>,
  name: unknown,
): Value | undefined {
  if (name === undefined) return undefined;
  if (typeof name === 'string' && Object.hasOwn(values, name)) return values[name];
  const known = Object.keys(values).map((one) => `'${one}'`);
  throw refuseField(field, `must be one of ${known.join(', ')}.`);
}

export function requireDate(time: Timestamp | undefined): Date {
  if (time === undefined) throw invalidResponse('lacks a time');
  return timestampDate(time);
}

/** The field with its time, or no field. */
export function dateField<Field extends string>(
  field: Field,
  time: Timestamp | undefined,
): { readonly [Name in Field]?: Date } {
  return (time === undefined ? {} : { [field]: timestampDate(time) }) as { [Name in Field]?: Date };
}

/** What an answer must hold. */
export function requireMessage<Message>(message: Message | undefined, what: string): Message {
  if (message === undefined) throw invalidResponse(`holds no ${what}`);
  return message;
}
