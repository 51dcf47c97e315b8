import { type DescField, getOption, type Message, ScalarType } from '@bufbuild/protobuf';
import { createContextKey, type Interceptor } from '@connectrpc/connect';
import { rule } from '../../../gen/typescript/harbor/rules/v1/rule_pb.ts';
import { InvalidField } from '../errors/request-errors.ts';

/** A field of a request that stands outside of its body. */
export interface GivenField {
  readonly field: DescField;
  readonly value: string;
  /** Where it stands, as errors say it. */
  readonly place: string;
}

/** Reads the fields of a call by REST that its path or its headers give, beside a body. */
export const givenFieldsKey = createContextKey<() => readonly GivenField[]>(() => [], {
  description: 'fields of the request that path and headers give',
});

/** Completes a request by what path and headers give; where the body says it too, they must agree. */
export const readGivenFields: Interceptor = (next) => (request) => {
  if (!request.stream) completeBy(request.message, request.contextValues.get(givenFieldsKey)());
  return next(request);
};

/** @throws InvalidField where the message says something else. */
export function completeBy(message: Message, fields: readonly GivenField[]): void {
  for (const given of fields) complete(message, given);
}

function complete(message: Message, { field, value, place }: GivenField): void {
  if (field.scalar !== ScalarType.STRING) throw new Error(`${field} cannot be given by ${place}`);
  if (value === '')
    throw new InvalidField(field.name, getOption(field, rule) || 'must not be empty');
  const fields = message as unknown as Record<string, string>;
  const inBody = fields[field.localName] ?? '';
  if (inBody !== '' && inBody !== value) {
    throw new InvalidField(field.name, `must not differ from ${place}`);
  }
  fields[field.localName] = value;
}
