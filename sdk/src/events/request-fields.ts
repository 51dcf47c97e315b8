import { type Timestamp, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { InvalidRequestError } from '../errors.ts';
import { findExactTime } from './exact-time.ts';

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

/** An empty text would be no subject at all, and in a query let everything pass. */
export function parseSubject(subject: unknown): string | undefined {
  if (subject === undefined) return undefined;
  if (subject === '') throw refuseField('subject', 'must not be empty; leave it out.');
  return requireString('subject', subject);
}

/** The pairs as they are; names are never rewritten. */
export function parseMetadata(metadata: unknown): Record<string, string> {
  if (metadata === undefined) return {};
  // Anything but an object of its own, such as a Map, would be sent without its members.
  if (Object.prototype.toString.call(metadata) !== '[object Object]') {
    throw refuseField('metadata', "must be an object of strings, such as { origin: 'billing' }.");
  }
  return Object.fromEntries(
    Object.entries(metadata as object).map(([name, value]) => {
      if (!name.isWellFormed()) throw refuseField('metadata', 'must not hold a lone surrogate.');
      return [name, requireString(`metadata["${name}"]`, value)];
    }),
  );
}

/** The names under which a query may have type patterns. */
export interface TypePatternsQuery {
  readonly typePatterns?: readonly string[] | undefined;
  readonly types?: readonly string[] | undefined;
}

/** Type patterns; absent means none, which is every type. */
export function parseTypePatterns({ typePatterns, types }: TypePatternsQuery): string[] {
  if (typePatterns !== undefined && types !== undefined) {
    throw refuseField('types', 'must not be there together with typePatterns, which is the same.');
  }
  return types === undefined
    ? parseTexts('typePatterns', typePatterns, 'invoice.*')
    : parseTexts('types', types, 'invoice.*');
}

/** An array of texts; absent means none. */
export function parseTexts(field: string, texts: unknown, example: string): string[] {
  if (texts === undefined) return [];
  if (!Array.isArray(texts)) throw refuseField(field, `must be an array, such as ['${example}'].`);
  return texts.map((text, index) => requireString(`${field}[${index}]`, text));
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

/** The field with its time, which a text may say more exactly than a Date; or no field. */
export function parseExactTime<Field extends string>(
  field: Field,
  time: unknown,
): { [Name in Field]?: Pick<Timestamp, 'seconds' | 'nanos'> } {
  if (typeof time !== 'string') return parseDate(field, time);
  const found = findExactTime(time);
  if (found === undefined) {
    throw refuseField(field, 'must be a time such as 2026-05-25T12:00:00.123456Z, or a Date.');
  }
  return { [field]: found } as { [Name in Field]: Pick<Timestamp, 'seconds' | 'nanos'> };
}
