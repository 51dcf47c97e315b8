import {
  type DescEnum,
  type DescField,
  type DescMessage,
  getOption,
  type ScalarType,
} from '@bufbuild/protobuf';
import {
  type FieldRules,
  field as fieldRules,
} from '../../../gen/typescript/buf/validate/validate_pb.ts';
import { comments } from '../../../gen/typescript/comments.ts';
import { isAlwaysTold } from './answer-json.ts';
import {
  type Direction,
  findWellKnown,
  ofEnum,
  ofScalar,
  payloadValue,
  rulesOf,
  type Schema,
} from './openapi-values.ts';

/** The fields that break a rule of the contract when they are not there. */
export type RequiredFields = (message: DescMessage) => ReadonlySet<string>;

/** The messages of the contract in JSON Schema, with its bounds and its words. */
export interface Schemas {
  /** By name: the messages that were referred to, and what they hold. */
  readonly components: Readonly<Record<string, Schema>>;
  /** The value of a field, without its description. */
  ofField(field: DescField, direction: Direction): Schema;
  /** @param elsewhere fields that stand in the path or in headers. */
  referToRequest(message: DescMessage, elsewhere: readonly DescField[]): Schema;
  /** @param isWhole the answer is a response itself, in which REST tells every field. */
  referToAnswer(message: DescMessage, isWhole: boolean): Schema;
}

interface Part {
  readonly scalar?: ScalarType | undefined;
  readonly enum?: DescEnum | undefined;
  readonly message?: DescMessage | undefined;
}

export function createSchemas(requiredFields: RequiredFields): Schemas {
  const components: Record<string, Schema> = { PayloadValue: payloadValue };
  const known = new Map<string, DescMessage>();

  function refer(message: DescMessage, direction: Direction, toSchema: () => Schema): Schema {
    const name = nameOf(message, direction);
    const before = known.get(name);
    if (before !== undefined && before !== message) {
      throw new Error(`${message} and ${before} would both be ${name} in openapi.json`);
    }
    // Known before it is made: a message may hold itself.
    known.set(name, message);
    if (before === undefined) components[name] = toSchema();
    return { $ref: `#/components/schemas/${name}` };
  }

  function ofMessage(
    message: DescMessage,
    fields: readonly DescField[],
    options: { direction: Direction; isRequired: (field: DescField) => boolean },
  ): Schema {
    const properties = fields.map((field) => {
      const schema = ofField(field, options.direction);
      return [field.name, { ...schema, description: describe(field) }] as const;
    });
    return {
      type: 'object',
      description: comments[message.typeName],
      required: fields.filter(options.isRequired).map(({ name }) => name),
      ...(options.direction === 'request' && { additionalProperties: false }),
      properties: Object.fromEntries(properties),
    };
  }

  function ofPart(part: Part, rules: FieldRules | undefined, direction: Direction): Schema {
    const { message } = part;
    if (message === undefined) {
      return part.enum ? ofEnum(part.enum, rules) : ofScalar(part.scalar as ScalarType, rules);
    }
    const known = findWellKnown(message.typeName, direction);
    if (known !== undefined) return known;
    return direction === 'request' ? referToRequest(message, []) : referToAnswer(message, false);
  }

  function ofField(field: DescField, direction: Direction): Schema {
    const rules = getOption(field, fieldRules);
    if (field.fieldKind === 'list') {
      const { minItems, maxItems, unique, items } = rulesOf(rules, 'repeated') ?? {};
      return {
        type: 'array',
        ...(minItems && { minItems: Number(minItems) }),
        ...(maxItems && { maxItems: Number(maxItems) }),
        ...(unique && { uniqueItems: true }),
        items: ofPart(field, items, direction),
      };
    }
    if (field.fieldKind === 'map') {
      const { maxPairs, keys, values } = rulesOf(rules, 'map') ?? {};
      return {
        type: 'object',
        ...(maxPairs && { maxProperties: Number(maxPairs) }),
        ...(keys && { propertyNames: ofScalar(field.mapKey, keys) }),
        additionalProperties: ofPart(field, values, direction),
      };
    }
    return ofPart(field, rules, direction);
  }

  function referToRequest(message: DescMessage, elsewhere: readonly DescField[]): Schema {
    const fields = message.fields.filter((field) => !elsewhere.includes(field));
    const required = requiredFields(message);
    const isRequired = ({ name }: DescField) => required.has(name);
    return refer(message, 'request', () =>
      ofMessage(message, fields, { direction: 'request', isRequired }),
    );
  }

  function referToAnswer(message: DescMessage, isWhole: boolean): Schema {
    const required = requiredFields(message);
    const isRequired = (field: DescField) =>
      required.has(field.name) || isAlwaysTold(field, isWhole);
    return refer(message, 'answer', () =>
      ofMessage(message, message.fields, { direction: 'answer', isRequired }),
    );
  }

  return { components, ofField, referToRequest, referToAnswer };
}

/** What is sent is described more narrowly than what is answered: a message that is both has two names. */
function nameOf({ name }: DescMessage, direction: Direction): string {
  return direction === 'answer' || name.endsWith('Request') ? name : `${name}Input`;
}

/** What the contract says of a field. */
export function describe(field: DescField): string | undefined {
  return comments[`${field.parent.typeName}.${field.name}`];
}
