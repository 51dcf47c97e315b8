import {
  create,
  createFileRegistry,
  type DescService,
  type MessageInitShape,
  setExtension,
} from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  MethodOptionsSchema,
} from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http } from '../gen/typescript/google/api/annotations_pb.ts';
import { HttpRuleSchema } from '../gen/typescript/google/api/http_pb.ts';
import { required_scope } from '../gen/typescript/harbor/api_keys/v1/required_scope_pb.ts';
import type { Caller } from '../src/api-keys/index.ts';
import { createLog } from '../src/log.ts';
import { readRoutes } from '../src/server/rest/rest-routes.ts';
import { createContractValidator } from '../src/server/rpc/contract-validator.ts';
import { createHealth, createServer, type Server } from '../src/server/server.ts';
import { problemOf, sendRequest } from './support/http-request.ts';

type HttpRule = MessageInitShape<typeof HttpRuleSchema>;

/** A contract of another project's: things with an id and a title, and RPCs that answer what they were asked. */
function createThings(rpcs: Readonly<Record<string, HttpRule>>): DescService {
  const text = (name: string, number: number) => ({
    name,
    number,
    jsonName: name,
    type: FieldDescriptorProto_Type.STRING,
    label: FieldDescriptorProto_Label.OPTIONAL,
  });
  const file = create(FileDescriptorProtoSchema, {
    name: 'things/v1/things.proto',
    package: 'things.v1',
    syntax: 'proto3',
    messageType: [{ name: 'Thing', field: [text('id', 1), text('title', 2)] }],
    service: [
      {
        name: 'ThingsService',
        method: Object.entries(rpcs).map(([name, rule]) => {
          const options = create(MethodOptionsSchema);
          setExtension(options, http, create(HttpRuleSchema, rule));
          setExtension(options, required_scope, 'things:write');
          return { name, inputType: '.things.v1.Thing', outputType: '.things.v1.Thing', options };
        }),
      },
    ],
  });
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));
  return registry.getService('things.v1.ThingsService') as DescService;
}

const caller: Caller = {
  apiKeyId: 'key_things',
  secretHash: '',
  kind: 'restricted',
  scopes: ['things:write'],
  workspaceIds: [],
  typePatterns: [],
  expiresAt: undefined,
};

let server: Server;
let service: { readonly host: string; readonly port: number; readonly secretKey: string };
beforeAll(async () => {
  const things = createThings({
    ChangeThing: { pattern: { case: 'patch', value: '/v1/things/{id}' }, body: '*' },
    FindThing: { pattern: { case: 'get', value: '/v1/things/{id}' } },
    OpenThing: { pattern: { case: 'post', value: '/v1/things/{id}:open' } },
    FindNewestThing: { pattern: { case: 'get', value: '/v1/things/newest' } },
  });
  const echo = (id: string | undefined) => (thing: { id: string }) => ({
    ...thing,
    id: id ?? thing.id,
  });
  server = createServer({
    authenticator: { authenticate: () => caller },
    lastUsed: { note: () => undefined },
    routes: (router) =>
      router.service(things, {
        changeThing: echo(undefined),
        findThing: echo(undefined),
        openThing: echo('opened'),
        findNewestThing: echo('newest'),
      } as never),
    streams: [],
    validator: createContractValidator([things]),
    services: [things],
    health: createHealth(),
    tls: undefined,
    corsOrigins: [],
    log: createLog('fatal', { write: (line) => void process.stderr.write(line) }),
    stallMsMax: 30_000,
  });
  service = { ...(await server.listen('127.0.0.1', 0)), secretKey: 'hbr_sk_things' };
});
afterAll(() => server.stop(0));

const answerOf = async (path: string, method: string, body?: object) => {
  const { status, text } = await sendRequest(service, path, { method, ...(body && { body }) });
  return { status, ...JSON.parse(text) };
};

test.each([
  ['PATCH', '/v1/things/a%2Fb', { title: 'renamed' }, { id: 'a/b', title: 'renamed' }],
  ['PATCH', '/v1/things/a', { id: 'a' }, { id: 'a', title: '' }],
  ['GET', '/v1/things/a?title=b', undefined, { id: 'a', title: 'b' }],
  ['POST', '/v1/things/a:open', undefined, { id: 'opened', title: '' }],
  ['POST', '/v1/things/a:open', {}, { id: 'opened', title: '' }],
  ['GET', '/v1/things/newest', undefined, { id: 'newest', title: '' }],
])('%s %s is the RPC that is annotated with it', async (method, path, body, thing) => {
  expect(await answerOf(path, method, body)).toEqual({ status: 200, ...thing });
});

test.each([
  ['PATCH', '/v1/things/a', { id: 'b' }, 'id', 'must not differ from the path'],
  ['PATCH', '/v1/things/%ff', {}, 'id', 'must be UTF-8 in percent-encoding'],
  ['POST', '/v1/things/%ff:open', undefined, 'id', 'must be UTF-8 in percent-encoding'],
  [
    'POST',
    '/v1/things/a:open',
    { title: 'b' },
    'body',
    'must be empty, or {}: fields are parameters of the query here',
  ],
  ['GET', '/v1/things/a?id=b', undefined, 'id', 'is not a parameter; there are title'],
])('%s %s with %j is refused', async (method, path, body, field, description) => {
  const answer = await sendRequest(service, path, { method, ...(body && { body }) });
  expect(problemOf(answer)).toMatchObject({ status: 400, violations: [{ field, description }] });
});

test('a path is described where it is annotated', async () => {
  const { paths, components } = await answerOf('/openapi.json', 'GET');
  expect(components.schemas).toMatchObject({
    Thing: { properties: { id: {}, title: {} } },
    ThingInput: { additionalProperties: false, properties: { title: {} } },
  });
  expect(Object.keys(paths)).toEqual(
    expect.arrayContaining(['/v1/things/newest', '/v1/things/{id}', '/v1/things/{id}:open']),
  );
  expect(Object.keys(paths['/v1/things/{id}']).sort()).toEqual(['get', 'patch']);
  expect(paths['/v1/things/{id}'].get.parameters).toMatchObject([
    { name: 'id', in: 'path', required: true },
    { name: 'title', in: 'query' },
  ]);
});

test('two RPCs at the same path are refused by name', () => {
  const get = (value: string): HttpRule => ({ pattern: { case: 'get', value } });
  const twins = createThings({ One: get('/v1/things/{id}'), Two: get('/v1/things/{title}') });
  expect(() => readRoutes(twins.methods)).toThrow(
    'rpc things.v1.ThingsService.Two and rpc things.v1.ThingsService.One are at the same path',
  );
});

test.each<[string, HttpRule]>([
  ['a field that the request lacks', { pattern: { case: 'get', value: '/v1/things/{name}' } }],
  ['a path of many parts', { pattern: { case: 'get', value: '/v1/{id=things/*}' } }],
  ['a part of the request as the body', { pattern: { case: 'post', value: '/v1' }, body: 'title' }],
  ['no method', { body: '*' }],
  [
    'a text as the answer',
    { pattern: { case: 'get', value: '/v1/things' }, responseBody: 'title' },
  ],
])('an annotation with %s is refused by name', (_, rule) => {
  const { methods } = createThings({ FindThing: rule });
  expect(() => readRoutes(methods)).toThrow('rpc things.v1.ThingsService.FindThing');
});
