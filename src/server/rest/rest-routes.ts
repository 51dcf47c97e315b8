import { type DescField, type DescMethod, getOption, hasOption } from '@bufbuild/protobuf';
import { http } from '../../../gen/typescript/google/api/annotations_pb.ts';
import { type RestParameter, toParameter } from './parameters.ts';

/** A path of the REST face and the RPC that it is, as the contract says (`google.api.http`). */
export interface RestRoute {
  readonly rpc: DescMethod;
  /** GET, POST … */
  readonly method: string;
  /** As the contract writes it, and OpenAPI does: `/v1/events/{id}`. */
  readonly template: string;
  /** Matches a whole path; its named groups are fields of the request. */
  readonly path: RegExp;
  readonly pathFields: readonly DescField[];
  /** The body is the request, but for what path and headers give. */
  readonly hasBody: boolean;
  /** Fields that a header gives, by its name. */
  readonly headers: ReadonlyMap<string, DescField>;
  readonly parameters: readonly RestParameter[];
  /** The field of the response that is the answer; undefined: the response itself. */
  readonly answer: DescField | undefined;
}

/** Fields that are sent as headers wherever a request has them beside a body. */
const headerOfField = new Map([['idempotency_key', 'Idempotency-Key']]);

/** The routes of those RPCs that have one; the path that says more comes before one that matches it too. */
export function readRoutes(rpcs: Iterable<DescMethod>): RestRoute[] {
  const routes = [...rpcs].filter((rpc) => hasOption(rpc, http)).map(toRoute);
  for (const [place, route] of routes.entries()) {
    const twin = routes.slice(0, place).find((other) => hides(other, route));
    if (twin !== undefined) throw new Error(`${route.rpc} and ${twin.rpc} are at the same path`);
  }
  return routes.sort(
    (one, other) =>
      one.pathFields.length - other.pathFields.length ||
      other.template.length - one.template.length,
  );
}

/** What is at a path: the first that matches, and whatever else the contract writes the same way. */
export function routesAt(routes: readonly RestRoute[], path: string): readonly RestRoute[] {
  const found = routes.find((route) => route.path.test(path));
  return routes.filter(({ template }) => template === found?.template);
}

/** Whether one of the two could never be reached. */
function hides(one: RestRoute, other: RestRoute): boolean {
  const shapeOf = ({ template }: RestRoute) => template.replaceAll(variable, '{}');
  if (shapeOf(one) !== shapeOf(other)) return false;
  return one.method === other.method || one.template !== other.template;
}

function toRoute(rpc: DescMethod): RestRoute {
  const { pattern, body, responseBody } = getOption(rpc, http);
  const fieldOf = ({ fields }: DescMethod['input'], name: string): DescField => {
    const field = fields.find((one) => one.name === name);
    if (field === undefined) throw new Error(`${rpc}: its google.api.http names no field ${name}`);
    return field;
  };
  const answer = responseBody === '' ? undefined : fieldOf(rpc.output, responseBody);
  const isSpoken = spoken.test(pattern.value ?? '') && ['', '*'].includes(body);
  if (pattern.case === undefined || !isSpoken || (answer && answer.fieldKind !== 'message')) {
    throw new Error(`${rpc}: its google.api.http is of a kind that is not spoken here`);
  }
  const template = pattern.value;
  const pathFields = namesIn(template).map((name) => fieldOf(rpc.input, name));
  const hasBody = body === '*';
  const others = rpc.input.fields.filter((field) => !pathFields.includes(field));
  const headers = others.flatMap((field) => {
    const name = headerOfField.get(field.name);
    return hasBody && name !== undefined ? [[name, field] as const] : [];
  });
  return {
    rpc,
    method: pattern.case.toUpperCase(),
    template,
    path: toPattern(template),
    pathFields,
    hasBody,
    headers: new Map(headers),
    parameters: hasBody ? [] : others.map(toParameter),
    answer,
  };
}

const variable = /\{(\w+)\}/g;
/** What the templates consist of; the published grammar has more. */
const spoken = /^(?:\/(?:[\w.-]+|\{\w+\})(?::\w+)?)+$/;

function namesIn(template: string): string[] {
  return [...template.matchAll(variable)].map(([, name = '']) => name);
}

function toPattern(template: string): RegExp {
  const literal = template.replaceAll('.', '\\.');
  return new RegExp(`^${literal.replaceAll(variable, '(?<$1>[^/]+)')}$`);
}
