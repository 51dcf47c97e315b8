import { type Timestamp, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { InvalidRequestError } from '../errors.ts';

/*
 * The service checks what fields say. Checked here is only what could not be sent, or would mean
 * something else on the wire: anything but text, a date that is none, a sequence that is no integer.
 */

/** The error of a request that is wrong before it was sent. */
export function refuseField(field: string, description: string): InvalidRequestError {
  return new InvalidRequestError(`${field} ${description}`, [{ field, description }], {
    code: 'invalid_argument',
    reason: 'INVALID_REQUEST',
  });
}

export function requireString(field: string, value: unknown): string {
  // Half a pair would be U+FFFD on the wire.
  if (typeof value === 'string' && value.isWellFormed()) return value;
  if (typeof value === 'string') throw refuseField(field, 'must not hold a lone surrogate.');
  throw refuseField(field, value === undefined ? 'is missing.' : 'must be a string.');
}

/** Type patterns; absent means none, which is every type. */
export function parseTypes(types: unknown): string[] {
  if (types === undefined) return [];
  if (!Array.isArray(types)) throw refuseField('types', "must be an array, such as ['invoice.*'].");
  return types.map((type, index) => requireString(`types[${index}]`, type));
}

/** Not taken for absent: null, which would turn a cursor that is missing into "from now". */
export function parseSequence(field: string, sequence: unknown): number | undefined {
  return parseInteger(field, sequence, { min: 0, max: Number.MAX_SAFE_INTEGER });
}

export function parseInteger(
  field: string,
  value: unknown,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  if (value === undefined) return undefined;
  if (Number.isInteger(value)) {
    const integer = value as number;
    if (integer >= min && integer <= max) return integer;
  }
  throw refuseField(field, `must be an integer from ${min} to ${max}.`);
}

/** The field with its time, or no field. */
export function parseDate<Field extends string>(
  field: Field,
  date: unknown,
): { [Name in Field]?: Timestamp } {
  if (date === undefined) return {};
  if (!(date instanceof Date) || Number.isNaN(date.getTime())) {
    throw refuseField(field, 'must be a valid Date.');
  }
  return { [field]: timestampFromDate(date) } as { [Name in Field]: Timestamp };
}
