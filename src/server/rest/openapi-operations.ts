import { type DescField, type DescMethod, getOption } from '@bufbuild/protobuf';
import { comments } from '../../../gen/typescript/comments.ts';
import { required_scope } from '../../../gen/typescript/harbor/api_keys/v1/required_scope_pb.ts';
import { headerText, parameterRemarks, remarksOn } from './openapi-remarks.ts';
import { describe, type Schemas } from './openapi-schemas.ts';
import type { Schema } from './openapi-values.ts';
import { pageTokenName, type RestParameter, wordsOf } from './parameters.ts';
import { mannerOf } from './rest-manners.ts';
import type { RestRoute } from './rest-routes.ts';

/** A route as OpenAPI describes it, in the words of the contract. */
export function toOperation(route: RestRoute, schemas: Schemas, required: ReadonlySet<string>) {
  const { rpc, hasBody } = route;
  const { operationId = rpc.localName, security, statuses = [], ...remarks } = remarksOn(rpc);
  const ofBody = hasBody ? ['413', '415'] : [];
  return {
    operationId,
    ...summarize(rpc, remarks.text),
    ...(security && { security }),
    parameters: [
      ...route.pathFields.map((field) => toPathParameter(field, schemas)),
      ...route.parameters.flatMap((one) => toQueryParameters(one, schemas, required)),
      ...[...route.headers].map(([name, field]) => toHeader(name, field, schemas)),
      ...(remarks.parameters ?? []),
    ],
    ...(hasBody && { requestBody: toBody(route, schemas, required) }),
    responses: {
      ...Object.fromEntries(mannerOf(rpc).statuses.map((status) => [status, answerOf(status)])),
      ...toProblems([...ofBody, ...statuses]),
    },
  };

  function answerOf(status: number) {
    return {
      description: remarks.answer ?? describeAnswer(route),
      ...(status === 201 && remarks.answerHeaders && { headers: remarks.answerHeaders }),
      content: remarks.answerContent ?? ofJson(toAnswer(route, schemas)),
    };
  }
}

/** What an RPC does begins its comment; further clauses say how. */
function summarize(rpc: DescMethod, text = '') {
  const comment = comments[`${rpc.parent.typeName}.${rpc.name}`] ?? '';
  const scope = getOption(rpc, required_scope);
  return {
    summary: /^[^.,;:]*/.exec(comment)?.[0],
    description: [comment, text, scope && `Scope: ${scope}.`]
      .filter((part) => part !== '')
      .join('\n\n'),
  };
}

function toPathParameter(field: DescField, schemas: Schemas) {
  return {
    name: field.name,
    in: 'path',
    required: true,
    description: describe(field),
    schema: schemas.ofField(field, 'request'),
  };
}

function toQueryParameters(
  { field, name, alias }: RestParameter,
  schemas: Schemas,
  required: ReadonlySet<string>,
) {
  const schema = toParameterSchema(field, schemas);
  const isList = field.fieldKind === 'list';
  const form = { ...(isList && { style: 'form', explode: false }), schema };
  const byName = {
    name,
    in: 'query',
    ...(required.has(name) && { required: true }),
    description: [describe(field), isList && 'With commas and no blanks between.']
      .filter(Boolean)
      .join(' '),
    ...form,
  };
  if (alias === undefined) return [byName];
  const description = `Another name for ${name}, which it was called at first; only one may be there.`;
  return [byName, { name: alias, in: 'query', deprecated: true, description, ...form }];
}

/** Whoever has nothing to say leaves the parameter out: an empty text or list is refused. */
function toParameterSchema(field: DescField, schemas: Schemas): Schema {
  const remark = parameterRemarks.get(field.name);
  if (field.enum) return { type: 'string', enum: [...wordsOf(field.enum).keys()], ...remark };
  const schema = schemas.ofField(field, 'request');
  if (field.fieldKind === 'list') return { ...schema, minItems: 1, ...remark };
  const mayBeEmpty =
    schema.type === 'string' &&
    field.name !== pageTokenName &&
    new RegExp(`${schema.pattern ?? ''}`).test('');
  return { ...schema, ...(mayBeEmpty && { minLength: 1 }), ...remark };
}

function toHeader(name: string, field: DescField, schemas: Schemas) {
  const schema = { ...schemas.ofField(field, 'request'), ...headerText };
  const description = `${describe(field)} Blanks at its ends are none of it.`;
  return { name, in: 'header', description, schema };
}

function toBody(
  { rpc, pathFields, headers }: RestRoute,
  schemas: Schemas,
  requiredOfAll: ReadonlySet<string>,
) {
  const elsewhere = [...pathFields, ...headers.values()];
  const required = [...requiredOfAll].some((name) => !elsewhere.some((one) => one.name === name));
  return { required, content: ofJson(schemas.referToRequest(rpc.input, elsewhere)) };
}

function toAnswer({ rpc, answer }: RestRoute, schemas: Schemas): Schema {
  if (answer?.message) return schemas.referToAnswer(answer.message, false);
  return schemas.referToAnswer(rpc.output, true);
}

function describeAnswer({ rpc, answer }: RestRoute): string {
  return (answer && describe(answer)) ?? comments[rpc.output.typeName] ?? '';
}

const ofJson = (schema: Schema) => ({ 'application/json': { schema } });

/** Any call may also end with 499, 500 or 504. */
function toProblems(statuses: readonly string[]) {
  const all = ['400', '401', '403', '404', '429', '503', ...statuses, 'default'];
  const problem = { $ref: '#/components/responses/Problem' };
  return Object.fromEntries(all.map((status) => [status, problem]));
}
