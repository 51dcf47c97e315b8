import { type DescEnum, type DescField, getOption, ScalarType } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import { rule } from '../../../gen/typescript/harbor/rules/v1/rule_pb.ts';
import { isTime } from '../../calendar-time.ts';
import { InvalidField } from '../errors/request-errors.ts';
import { timeRule } from '../rpc/strict-json.ts';

/** A field of a request as a parameter of the query. */
export interface RestParameter {
  readonly field: DescField;
  readonly name: string;
  /** Another name for it; only one of the two may be there. */
  readonly alias: string | undefined;
  /**
   * The value in ProtoJSON.
   *
   * @throws InvalidField
   */
  readonly read: (text: string) => string | string[];
}

/** What parameters were called at first. */
const aliases = new Map([['type_patterns', 'types']]);

/** The one text that may be empty: whoever turns pages begins without a token. */
export const pageTokenName = 'page_token';

export function toParameter(field: DescField): RestParameter {
  const { name } = field;
  return { field, name, alias: aliases.get(name), read: readerOf(field) };
}

/**
 * How a field is written in a query. A variable of a shell that is not set must not be a filter that lets
 * everything pass: an empty text is refused.
 */
function readerOf(field: DescField): RestParameter['read'] {
  const { name } = field;
  // No text in a list holds a comma: that is a rule of the contract.
  if (field.fieldKind === 'list' && field.scalar === ScalarType.STRING) {
    return (text) => text.split(',');
  }
  if (field.fieldKind === 'enum') {
    const words = wordsOf(field.enum);
    return (text) => readWord(name, words, text);
  }
  if (field.fieldKind === 'message' && field.message.typeName === TimestampSchema.typeName) {
    return (text) => readTime(name, text);
  }
  switch (field.scalar) {
    case ScalarType.STRING:
      return (text) => readText(field, text);
    case ScalarType.INT32:
    case ScalarType.INT64:
      return (text) => readWholeNumber(name, text);
    default:
      throw new Error(`${field} cannot be a parameter of REST`);
  }
}

function readText(field: DescField, text: string): string {
  if (text !== '' || field.name === pageTokenName) return text;
  throw new InvalidField(field.name, getOption(field, rule) || 'must not be empty');
}

/** Words for the values of an enum: their names without its own; `asc` and `desc` are what everybody writes. */
export function wordsOf({ values, sharedPrefix = '' }: DescEnum): ReadonlyMap<string, string> {
  const named = values.filter(({ number }) => number !== 0);
  return new Map(
    named.map(({ name }) => {
      const word = name.slice(sharedPrefix.length).toLowerCase();
      return [word.replace(/^((?:a|de)sc)ending$/, '$1'), name];
    }),
  );
}

function readWord(name: string, words: ReadonlyMap<string, string>, text: string): string {
  const value = words.get(text);
  if (value !== undefined) return value;
  throw new InvalidField(name, `must be ${[...words.keys()].join(' or ')}`);
}

/** A whole number; ProtoJSON would take an empty text for none. */
function readWholeNumber(name: string, text: string): string {
  if (/^-?\d{1,16}$/.test(text)) return text;
  throw new InvalidField(name, 'must be a whole number');
}

function readTime(name: string, text: string): string {
  if (isTime(text)) return text;
  throw new InvalidField(name, `${timeRule}, with any + as %2B`);
}
