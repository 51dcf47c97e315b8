import {
  create,
  createFileRegistry,
  type FileRegistry,
  fromBinary,
  getOption,
  hasOption,
  toBinary,
} from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { createClient } from '@connectrpc/connect';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as v1 from '../gen/typescript/grpc/reflection/v1/reflection_pb.ts';
import * as v1alpha from '../gen/typescript/grpc/reflection/v1alpha/reflection_pb.ts';
import { required_scope } from '../gen/typescript/harbor/api_keys/v1/required_scope_pb.ts';
import { EventsService } from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createTransport } from './support/clients.ts';
import { sendGrpc } from './support/grpc-send.ts';
import { sendRequest } from './support/http-request.ts';
import { grpcEnvelope } from './support/http2-frames.ts';
import {
  type Answer,
  listServices,
  openQuestions,
  type Question,
} from './support/reflection-client.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const names = [
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
  'harbor.api_keys.v1.ApiKeysService',
  'harbor.audit.v1.AuditService',
  'harbor.events.v1.EventsService',
  'harbor.webhooks.v1.WebhooksService',
  'harbor.workspaces.v1.WorkspacesService',
];
const eventsFile = 'harbor/events/v1/events_service.proto';
const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';

function filesIn(answer: Answer | undefined): FileDescriptorProto[] {
  if (answer?.case !== 'fileDescriptorResponse') throw new Error(`no files: ${answer?.case}`);
  const { fileDescriptorProto } = answer.value;
  return fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}
const namesIn = (answer: Answer | undefined) => filesIn(answer).map(({ name }) => name);
const errorIn = (answer: Answer | undefined) =>
  answer?.case === 'errorResponse' ? answer.value.errorCode : undefined;

/** Each file once, after those that it imports. */
function importsFirst(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const sorted = new Set<FileDescriptorProto>();
  const visit = (file: FileDescriptorProto | undefined) => {
    for (const name of file?.dependency ?? []) visit(byName.get(name));
    if (file !== undefined) sorted.add(file);
  };
  for (const file of byName.values()) visit(file);
  return [...sorted];
}

/** All answers of a stream that asks one thing after another. */
async function askAll(questions: readonly Question[]): Promise<(Answer | undefined)[]> {
  using stream = openQuestions(service);
  const answers: (Answer | undefined)[] = [];
  for (const question of questions) answers.push(await stream.ask(question));
  return answers;
}

describe.each([
  ['v1', v1.ServerReflection],
  ['v1alpha', v1alpha.ServerReflection],
])('grpc.reflection.%s without a key', (_version, { method, typeName }) => {
  test('lists every service, health and itself among them', async () => {
    using stream = openQuestions(service, { method: method.serverReflectionInfo as never });
    const answer = await stream.ask(listServices);
    expect(answer).toMatchObject({
      case: 'listServicesResponse',
      value: { service: names.map((name) => ({ name })) },
    });
    expect(names).toContain(typeName);
  });

  test.each(['grpc', 'grpc-web', 'connect json', 'connect binary'] as const)(
    'answers over %s while the client goes on asking',
    async (wire) => {
      const asked = Promise.withResolvers<void>();
      async function* questions() {
        yield { messageRequest: listServices as never };
        await asked.promise;
        yield { messageRequest: { case: 'fileByFilename' as const, value: eventsFile } };
      }
      const client = createClient(v1.ServerReflection, createTransport(wire, service.baseUrl));
      const cases: unknown[] = [];
      for await (const { messageResponse } of client.serverReflectionInfo(questions())) {
        cases.push(messageResponse.case);
        asked.resolve();
      }
      expect(cases).toEqual(['listServicesResponse', 'fileDescriptorResponse']);
    },
  );
});

describe('what reflection sends', () => {
  let registry: FileRegistry;
  beforeAll(async () => {
    const symbols = names.map((value): Question => ({ case: 'fileContainingSymbol', value }));
    const files = (await askAll(symbols)).flatMap(filesIn);
    const file = importsFirst(files);
    registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
  });

  test('is the whole contract of every service', () => {
    for (const name of names) {
      expect(registry.getService(name)?.methods.length).toBeGreaterThan(0);
    }
    const { methods } = registry.getService(EventsService.typeName) as typeof EventsService;
    expect(methods.map(({ name }) => name)).toEqual(EventsService.methods.map(({ name }) => name));
    for (const [index, method] of methods.entries()) {
      const ours = EventsService.methods[index] as (typeof EventsService.methods)[number];
      expect(hasOption(method, required_scope)).toBe(true);
      expect(getOption(method, required_scope)).toBe(getOption(ours, required_scope));
    }
  });

  test('has the names and numbers of the wire, whatever was generated', async () => {
    // list_services = 7, a text without letters.
    const answer = await sendGrpc({ ...service, secretKey: '' }, path, [
      grpcEnvelope(Buffer.from([0x3a, 0])),
    ]);
    expect(answer.status).toBe('0');
    const message = answer.body.subarray(5);
    // original_request = 2 holds the question; list_services_response = 6.
    expect(message.subarray(0, 4)).toEqual(Buffer.from([0x12, 2, 0x3a, 0]));
    expect(message[4]).toBe(0x32);
    expect(message.toString('latin1')).toContain('\x0a\x15grpc.health.v1.Health');
  });

  test('is the file that was asked for, and each import once on a stream', async () => {
    const question: Question = { case: 'fileByFilename', value: eventsFile };
    const [first, again, event] = await askAll([
      question,
      question,
      { case: 'fileByFilename', value: 'harbor/events/v1/event.proto' },
    ]);
    const sent = namesIn(first);
    expect(sent[0]).toBe(eventsFile);
    expect(sent).toEqual(expect.arrayContaining(['google/protobuf/descriptor.proto']));
    expect(new Set(sent).size).toBe(sent.length);
    const imports = filesIn(first).flatMap(({ dependency }) => dependency);
    expect(sent).toEqual(expect.arrayContaining(imports));
    expect(namesIn(again)).toEqual([eventsFile]);
    expect(namesIn(event)).toEqual(['harbor/events/v1/event.proto']);
  });

  test.each([
    ['a service', 'harbor.events.v1.EventsService'],
    ['a method', 'harbor.events.v1.EventsService.CreateEvent'],
    ['a message', 'harbor.events.v1.CreateEventRequest'],
    ['a field', 'harbor.events.v1.CreateEventRequest.idempotency_key'],
    ['a oneof', 'harbor.events.v1.SubscribeEventsResponse.message'],
  ])('is found by the name of %s', async (_what, value) => {
    const [answer] = await askAll([{ case: 'fileContainingSymbol', value }]);
    expect(namesIn(answer)[0]).toBe(eventsFile);
  });

  test.each([
    ['an enum', 'harbor.errors.v1.ErrorReason', 'harbor/errors/v1/error_reason.proto'],
    ['a value', 'harbor.errors.v1.ERROR_REASON_OVERLOADED', 'harbor/errors/v1/error_reason.proto'],
    ['a detail of errors', 'google.rpc.ErrorInfo', 'google/rpc/error_details.proto'],
    [
      'a nested enum',
      'google.protobuf.FieldDescriptorProto.Type',
      'google/protobuf/descriptor.proto',
    ],
    [
      'its value',
      'google.protobuf.FieldDescriptorProto.TYPE_BYTES',
      'google/protobuf/descriptor.proto',
    ],
    [
      'an extension',
      'harbor.api_keys.v1.required_scope',
      'harbor/api_keys/v1/required_scope.proto',
    ],
  ])('is found by the name of %s', async (_what, value, file) => {
    const [answer] = await askAll([{ case: 'fileContainingSymbol', value }]);
    expect(namesIn(answer)[0]).toBe(file);
  });

  test('is found by the number of an extension, and all numbers are told', async () => {
    const containingType = 'google.protobuf.MethodOptions';
    const [numbers, none] = await askAll([
      { case: 'allExtensionNumbersOfType', value: containingType },
      { case: 'allExtensionNumbersOfType', value: 'harbor.events.v1.Event' },
    ]);
    expect(none).toMatchObject({
      value: { baseTypeName: 'harbor.events.v1.Event', extensionNumber: [] },
    });
    if (numbers?.case !== 'allExtensionNumbersResponse') throw new Error(`${numbers?.case}`);
    const { extensionNumber } = numbers.value;
    expect(extensionNumber).toContain(required_scope.number);
    expect(extensionNumber).toEqual([...extensionNumber].sort((a, b) => a - b));
    const [file] = await askAll([
      {
        case: 'fileContainingExtension',
        value: { containingType, extensionNumber: required_scope.number },
      },
    ]);
    expect(namesIn(file)[0]).toBe('harbor/api_keys/v1/required_scope.proto');
  });
});

describe('a question without an answer', () => {
  test.each<[string, Question]>([
    ['a file', { case: 'fileByFilename', value: 'no/such.proto' }],
    ['a symbol', { case: 'fileContainingSymbol', value: 'no.such.Service' }],
    ['a package', { case: 'fileContainingSymbol', value: 'harbor.events.v1' }],
    ['the name of a member of every object', { case: 'fileContainingSymbol', value: '__proto__' }],
    [
      'an extension',
      {
        case: 'fileContainingExtension',
        value: { containingType: 'google.protobuf.MethodOptions', extensionNumber: 1 },
      },
    ],
    ['extensions of no message', { case: 'allExtensionNumbersOfType', value: 'no.such.Message' }],
  ])('is told as NOT_FOUND, and the stream goes on: %s', async (_what, question) => {
    const [answer, next] = await askAll([question, listServices]);
    expect(errorIn(answer)).toBe(status.NOT_FOUND);
    expect(next?.case).toBe('listServicesResponse');
  });

  test('is told as UNIMPLEMENTED when nobody here knows its kind, and the stream goes on', async () => {
    const [answer, next] = await askAll([{ case: undefined }, listServices]);
    expect(errorIn(answer)).toBe(status.UNIMPLEMENTED);
    expect(next?.case).toBe('listServicesResponse');
  });
});

test('an answer says what was asked', async () => {
  const client = createClient(v1.ServerReflection, createTransport('grpc', service.baseUrl));
  async function* questions() {
    yield {
      host: 'events.example',
      messageRequest: { case: 'fileByFilename' as const, value: 'x' },
    };
  }
  for await (const answer of client.serverReflectionInfo(questions())) {
    expect(answer).toMatchObject({
      validHost: 'events.example',
      originalRequest: { host: 'events.example', messageRequest: { value: 'x' } },
    });
  }
});

test('answers are not compressed, which would be work for whoever has no key', async () => {
  const question = create(v1.ServerReflectionRequestSchema, {
    messageRequest: { case: 'fileByFilename', value: eventsFile },
  });
  const body = [grpcEnvelope(toBinary(v1.ServerReflectionRequestSchema, question))];
  const answer = await sendGrpc(service, path, body, { 'grpc-accept-encoding': 'br,gzip' });
  expect(answer.status).toBe('0');
  expect(answer.body.length).toBeGreaterThan(4_000);
  expect(answer.body[0]).toBe(0);
});

test('HTTP/1.1, which has no streams in both directions, is told so', async () => {
  const headers = { 'content-type': 'application/connect+json' };
  const answer = await sendRequest(service, path, { method: 'POST', headers, body: '' });
  expect(answer.status).toBe(505);
});

test('a service with REFLECTION=off has none of it', async () => {
  const closed = await startTestService({ reflection: false });
  using stream = openQuestions(closed);
  await expect(stream.ask(listServices)).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
  await closed.stop();
});
