import { type DescEnum, ScalarType } from '@bufbuild/protobuf';
import { DurationSchema, StructSchema, TimestampSchema } from '@bufbuild/protobuf/wkt';
import type { FieldRules } from '../../../gen/typescript/buf/validate/validate_pb.ts';

/** JSON Schema, as OpenAPI 3.1 takes it. */
export type Schema = Readonly<Record<string, unknown>>;

/** Whether the service reads a message or writes it. */
export type Direction = 'request' | 'answer';

/** A time as `isTime` takes it. */
const time = {
  type: 'string',
  format: 'date-time',
  pattern: String.raw`^(?:000[1-9]|00[1-9]\d|0[1-9]\d\d|[1-9]\d{3})-\d\d-\d\dT\d\d:\d\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$`,
  examples: ['2026-05-25T12:00:00Z'],
};

const storable = { pattern: String.raw`^[^\u0000]*$` };
const anyValue = { $ref: '#/components/schemas/PayloadValue' };

/** What a payload holds, at any depth. */
export const payloadValue: Schema = {
  description: 'Any JSON value.',
  ...storable,
  propertyNames: storable,
  additionalProperties: anyValue,
  items: anyValue,
};

const payload = { type: 'object', propertyNames: storable, additionalProperties: anyValue };

/** Seconds, as ProtoJSON has them. */
const duration = { type: 'string', pattern: String.raw`^\d{1,12}(?:\.\d{1,9})?s$` };

const wellKnown = new Map<string, Readonly<Record<Direction, Schema>>>([
  [TimestampSchema.typeName, { request: time, answer: { type: 'string', format: 'date-time' } }],
  [DurationSchema.typeName, { request: duration, answer: duration }],
  [StructSchema.typeName, { request: payload, answer: payload }],
]);

/** A message that ProtoJSON writes in a form of its own; undefined for those of the contract. */
export function findWellKnown(typeName: string, direction: Direction): Schema | undefined {
  return wellKnown.get(typeName)?.[direction];
}

export function ofEnum({ values }: DescEnum, rules: FieldRules | undefined): Schema {
  const { notIn = [] } = rulesOf(rules, 'enum') ?? {};
  const names = values.filter(({ number }) => !notIn.includes(number)).map(({ name }) => name);
  return { type: 'string', enum: names };
}

export function ofScalar(scalar: ScalarType, rules: FieldRules | undefined): Schema {
  switch (scalar) {
    case ScalarType.STRING:
      return ofText(rules);
    case ScalarType.BOOL:
      return { type: 'boolean' };
    case ScalarType.INT32:
    case ScalarType.INT64: {
      const { lessThan, greaterThan } = rulesOf(rules, 'int32') ?? rulesOf(rules, 'int64') ?? {};
      return {
        type: 'integer',
        ...(greaterThan?.case === 'gte' && { minimum: Number(greaterThan.value) }),
        ...(lessThan?.case === 'lte' && { maximum: Number(lessThan.value) }),
      };
    }
    case ScalarType.BYTES:
      return { type: 'string', contentEncoding: 'base64' };
    default:
      throw new Error(`scalars of the kind ${ScalarType[scalar]} are not described here`);
  }
}

/** Lengths count code points, in JSON Schema as in the contract. */
function ofText(rules: FieldRules | undefined): Schema {
  const { minLen, maxLen, pattern } = rulesOf(rules, 'string') ?? {};
  return {
    type: 'string',
    ...(minLen && { minLength: Number(minLen) }),
    ...(maxLen && { maxLength: Number(maxLen) }),
    ...(pattern && { pattern: toEcmaScript(pattern) }),
  };
}

/**
 * The classes of RE2 that JSON Schema's patterns lack, which are ECMAScript's without its flags. Halves of
 * surrogate pairs, which not every engine knows, are no text that can be sent.
 */
const classes = new Map([
  ['Cc', String.raw`\u0000-\u001f\u007f-\u009f`],
  ['Cs', ''],
  ['Z', String.raw`\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`],
]);

function toEcmaScript(pattern: string): string {
  return pattern.replaceAll(/\\p\{(\w+)\}/g, (whole, name) => classes.get(name) ?? whole);
}

type Rules = FieldRules['type'];
type RulesOf<Kind> = Extract<Rules, { case: Kind }>['value'];

/** The rules of a kind; undefined for a field that has none, or those of another kind. */
export function rulesOf<Kind extends NonNullable<Rules['case']>>(
  rules: FieldRules | undefined,
  kind: Kind,
): RulesOf<Kind> | undefined {
  const { type } = rules ?? {};
  return (type?.case === kind ? type.value : undefined) as RulesOf<Kind> | undefined;
}
