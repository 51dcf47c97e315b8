import type { JsonObject } from '@bufbuild/protobuf';
import { findRefusal } from '../errors/errors.ts';
import { InvalidField } from '../errors/request-errors.ts';
import type { ExchangeRequest } from '../wire/exchange.ts';
import { decodePercent } from '../wire/parameters.ts';
import type { GivenField } from './given-fields.ts';
import { readFields } from './query.ts';
import type { RestRoute } from './rest-routes.ts';

/**
 * The request of a route without a body, in JSON. It is made when it is asked for: after the gate, so that
 * whoever may not call learns that first, and with its mistakes told like those of any other body.
 */
export async function* requestBody(
  route: RestRoute,
  request: ExchangeRequest,
): AsyncIterable<Uint8Array> {
  let json: string;
  try {
    if (route.method !== 'GET') await assertNoBody(request);
    json = JSON.stringify(readRequest(route, request));
  } catch (error) {
    throw findRefusal(error) ?? error;
  }
  yield Buffer.from(json);
}

/** A request that says nothing but what path and headers give. */
const nothing = Buffer.from('{}');

/** Whether neither a body nor its type is announced. One may come all the same: see `readBody`. */
export function announcesNoBody({ header }: ExchangeRequest): boolean {
  const isAnnounced = Number(header.get('content-length') ?? 0) > 0;
  return !isAnnounced && isUntyped(header) && header.get('content-encoding') === null;
}

/**
 * The body of a route that has one, in JSON. Whoever has nothing to say in it need not send one.
 *
 * @throws InvalidField when there is one after all that was not announced.
 */
export async function readBody({ body, header }: ExchangeRequest): Promise<Uint8Array> {
  const bytes = await body.receive();
  if (bytes.byteLength === 0) return nothing;
  if (isUntyped(header)) throw new InvalidField('content-type', 'must be application/json');
  return bytes;
}

function isUntyped(header: Headers): boolean {
  return (header.get('content-type') ?? '') === '';
}

/** Whoever always sends JSON says nothing by this either. */
const emptyObject = /^\s*\{\s*\}\s*$/;
const emptyObjectBytesMax = 16;

/** What stands in a body that nobody reads, such as a workspace to keep to, must not be passed over. */
async function assertNoBody({ body }: ExchangeRequest): Promise<void> {
  const bytes = await body.receive();
  if (bytes.byteLength === 0) return;
  if (bytes.byteLength <= emptyObjectBytesMax && emptyObject.test(`${Buffer.from(bytes)}`)) return;
  throw new InvalidField('body', 'must be empty, or {}: fields are parameters of the query here');
}

/**
 * The fields that path and query give, in ProtoJSON.
 *
 * @param more names that are parameters of the query, too, and no fields.
 * @throws InvalidField
 */
export function readRequest(
  route: RestRoute,
  { path, query }: ExchangeRequest,
  more: readonly string[] = [],
): JsonObject {
  const ofPath = fieldsOfPath(route, path).map(({ field, value }) => [field.name, value]);
  return { ...Object.fromEntries(ofPath), ...readFields(route, query, more) };
}

/** The fields of a route with a body that stand elsewhere. */
export function givenFields(route: RestRoute, { path, header }: ExchangeRequest): GivenField[] {
  const ofHeaders = [...route.headers].flatMap(([name, field]) => {
    const value = header.get(name);
    return value === null ? [] : [{ field, value, place: `the header ${name}` }];
  });
  return [...fieldsOfPath(route, path), ...ofHeaders];
}

function fieldsOfPath({ path: pattern, pathFields }: RestRoute, path: string): GivenField[] {
  const { groups = {} } = pattern.exec(path) ?? {};
  return pathFields.map((field) => {
    const value = decodePercent(groups[field.name] ?? '', field.name);
    return { field, value, place: 'the path' };
  });
}
