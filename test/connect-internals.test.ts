import { AsyncLocalStorage } from 'node:async_hooks';
import { readdirSync, readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { ValidationError } from '@bufbuild/protovalidate';
import { Code, ConnectError, type HandlerContext, type Interceptor } from '@connectrpc/connect';
import { compressionGzip } from '@connectrpc/connect-node';
import { createValidateInterceptor } from '@connectrpc/validate';
import { describe, expect, test } from 'vitest';
import {
  EventsService,
  RetrieveEventRequestSchema,
} from '../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { beginCall } from '../src/server/calls/call.ts';
import {
  amendError,
  answerEnd,
  codeToHttpStatus,
  codeToString,
  compressedFlag,
  compressionNegotiate,
  createMethodSerializationLookup,
  decodedBy,
  encodeEnvelope,
  errorFromJson,
  findBrokenRules,
  findEnd,
  findInflationError,
  findUnknownMember,
  isCompressionUndeclared,
  isNoObject,
  onEnd,
  readInVersions,
  transformSplitEnvelope,
  writeEnd,
} from '../src/server/rpc/connect-internals.ts';
import {
  callPlain,
  createPlainHandlers,
  readAnswer,
  streamTypes,
  unaryTypes,
} from './support/connect-handlers.ts';

const root = resolve(import.meta.dirname, '..');
const readJson = (path: string) => JSON.parse(readFileSync(resolve(root, path), 'utf8'));

describe('what connect-internals.ts was read in', () => {
  test.each(Object.entries(readInVersions))('%s is pinned and installed as %s', (name, version) => {
    expect(readJson('package.json').dependencies[name]).toBe(version);
    expect(readJson(`node_modules/${name}/package.json`).version).toBe(version);
  });

  test('nothing else of the service imports what Connect marks as its own', async () => {
    const marked = findMarked();
    expect(marked).toContain('encodeEnvelope');
    const strays: string[] = [];
    for await (const path of glob('src/**/*.ts', { cwd: root })) {
      if (path.endsWith('/connect-internals.ts')) continue;
      const text = readFileSync(resolve(root, path), 'utf8');
      const imports = text.matchAll(/import ([^;]*?) from '@connectrpc\/connect\/[^']+'/g);
      for (const [, names = ''] of imports) {
        const own = names.match(/\w+/g)?.filter((name) => marked.includes(name)) ?? [];
        strays.push(...own.map((name) => `${path} imports ${name}`));
      }
    }
    expect(strays).toEqual([]);
  });
});

/** The names that Connect's declarations mark as `@private`. */
function findMarked(): string[] {
  const types = resolve(root, 'node_modules/@connectrpc/connect/dist/esm');
  const files = readdirSync(types, { recursive: true, encoding: 'utf8' });
  return files
    .filter((path) => path.endsWith('.d.ts'))
    .flatMap((path) => [
      ...readFileSync(resolve(types, path), 'utf8').matchAll(
        /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*export (?:declare )?(?:function|const|class|interface|type) (\w+)/g,
      ),
    ])
    .filter(([, comment = '']) => comment.includes('@private'))
    .map(([, , name = '']) => name);
}

interface Failure {
  /** Who throws. */
  readonly by?: 'gate' | 'interceptor' | 'handler';
  /** What is sent: all of it, or what is put into an envelope where the protocol has one. */
  readonly body?: Buffer;
  readonly message?: Buffer;
  readonly header?: Record<string, string>;
}

/** The ways in which a call can fail, from before its body is read to its handler. */
const failures: Record<string, Failure> = {
  'at the gate': { by: 'gate' },
  'while its request is read': { body: Buffer.from([0, 0, 0, 0, 9, 1]) },
  'while its request is parsed': { message: Buffer.from([0x0a, 0xff]) },
  'over its timeout': { header: { 'grpc-timeout': 'x', 'connect-timeout-ms': 'x' } },
  'in an interceptor': { by: 'interceptor' },
  'in its handler': { by: 'handler' },
};

const kinds = [
  ...unaryTypes.map((type) => ['unary', type] as const),
  ...streamTypes.map((type) => ['stream', type] as const),
];
const hasEnvelopes = (kind: 'unary' | 'stream', type: string) =>
  kind === 'stream' || type.includes('grpc');

describe.each(kinds)('a %s call over %s', (kind, type) => {
  const valid = type.includes('json') ? Buffer.from('{}') : Buffer.alloc(0);
  const asBody = (bytes: Uint8Array) =>
    hasEnvelopes(kind, type) ? encodeEnvelope(0, bytes) : bytes;

  const cases = Object.entries(failures).filter(
    ([, { body }]) => body === undefined || hasEnvelopes(kind, type),
  );
  test.each(cases)(
    'that fails %s is told of, and written as it then is',
    async (_where, failure) => {
      const told: unknown[] = [];
      const { by, message = valid, body = asBody(message), header = {} } = failure;
      const failAt = (place: Failure['by']) => {
        if (by === place) throw new ConnectError('of the test', Code.Aborted);
      };
      const interceptor: Interceptor = (next) => (request) => {
        failAt('interceptor');
        return next(request);
      };
      const requestGate = (context: HandlerContext) => {
        onEnd(context, (error) => {
          told.push(error);
          amendError(error as ConnectError, { code: Code.DataLoss, rawMessage: 'as amended' });
          const detail = { desc: RetrieveEventRequestSchema, value: { id: 'of a detail' } };
          (error as ConnectError).details.push(detail);
        });
        failAt('gate');
      };
      const handlers = createPlainHandlers(
        {
          retrieveEvent() {
            failAt('handler');
            return {};
          },
          async *subscribeEvents() {
            failAt('handler');
            yield {};
          },
        },
        { interceptors: [interceptor], requestGate },
      );
      const answer = await callPlain(handlers[kind], type, body, { header });
      expect(told).toEqual([expect.any(ConnectError)]);
      const code = type.includes('grpc') ? Code.DataLoss : 'data_loss';
      expect(answer).toMatchObject({ code, message: 'as amended' });
      const details = Buffer.from(answer.trailer['grpc-status-details-bin'] ?? '', 'base64');
      expect(`${answer.bytes}${details}`).toContain('of a detail');
    },
  );

  test('that goes well is told of as none that fails', async () => {
    const told: unknown[] = [];
    const gate = (context: HandlerContext) => onEnd(context, (error) => told.push(error));
    const handlers = createPlainHandlers(
      { retrieveEvent: () => ({}), async *subscribeEvents() {} },
      { requestGate: gate },
    );
    expect(await callPlain(handlers[kind], type, asBody(valid))).toMatchObject({ code: 0 });
    expect(told).toEqual([]);
  });

  test('that has ended elsewhere is answered as one that ends so, and its body is not read', async () => {
    const error = () => new ConnectError('over', Code.Unavailable, { 'x-more': 'told' });
    const trailer = new Headers({ 'x-last': 'word' });
    const gate = (context: HandlerContext) => {
      const end = findEnd(context);
      if (end?.error !== undefined) throw end.error;
    };
    const usual = createPlainHandlers({
      retrieveEvent(_request: unknown, { responseTrailer }: HandlerContext) {
        responseTrailer.set('x-last', 'word');
        throw error();
      },
      // biome-ignore lint/correctness/useYield: it fails before its first message
      async *subscribeEvents(_request: unknown, { responseTrailer }: HandlerContext) {
        responseTrailer.set('x-last', 'word');
        throw error();
      },
    });
    const { [kind]: ended } = createPlainHandlers(
      {},
      { requestGate: gate, interceptors: [answerEnd] },
    );
    const call = beginCall('POST', undefined);
    const end = { contentType: type, call, error: error(), trailer };
    const written = await readAnswer(type, await writeEnd(ended, end));
    expect(written).toEqual(await callPlain(usual[kind], type, asBody(valid)));
    expect(written.code).toBe(type.includes('grpc') ? Code.Unavailable : 'unavailable');
  });
});

test.each(streamTypes)(
  'a stream over %s that went well elsewhere is ended as one that goes well',
  async (type) => {
    const valid = encodeEnvelope(0, type.includes('json') ? Buffer.from('{}') : Buffer.alloc(0));
    const usual = createPlainHandlers({
      // biome-ignore lint/correctness/useYield: it goes well without a message
      async *subscribeEvents(_request: unknown, { responseTrailer }: HandlerContext) {
        responseTrailer.set('x-last', 'word');
      },
    });
    const { stream } = createPlainHandlers(
      {},
      { requestGate: (context) => void findEnd(context), interceptors: [answerEnd] },
    );
    const call = beginCall('POST', undefined);
    const trailer = new Headers({ 'x-last': 'word' });
    const written = await readAnswer(
      type,
      await writeEnd(stream, { contentType: type, call, trailer }),
    );
    expect(written).toEqual(await callPlain(usual.stream, type, valid));
    expect(written).toMatchObject({ code: 0, trailer: { 'x-last': 'word' } });
  },
);

test.each(kinds.filter(([, type]) => type.includes('json')))(
  'a %s request in JSON over %s is parsed from the text that its decoder makes of it',
  async (kind, type) => {
    const seen: string[] = [];
    const read: unknown[] = [];
    const note = ({ id }: { id?: string }) => void read.push(id);
    const decode = (bytes: Uint8Array) => {
      seen.push(`${Buffer.from(bytes)}`);
      if (seen.length > 1) throw new RangeError('of the decoder');
      return '{"id":"decoded","workspaceId":"decoded"}';
    };
    const told: unknown[] = [];
    const handlers = createPlainHandlers(
      {
        retrieveEvent(request) {
          note(request);
          return {};
        },
        // biome-ignore lint/correctness/useYield: only what it reads matters
        async *subscribeEvents({ workspaceId }) {
          note({ id: workspaceId });
        },
      },
      {
        jsonOptions: { ...decodedBy(decode), ignoreUnknownFields: true },
        requestGate: (context) => onEnd(context, (error) => told.push(error)),
      },
    );
    const body = Buffer.from('{"sent":1}');
    const call = () =>
      callPlain(handlers[kind], type, kind === 'stream' ? encodeEnvelope(0, body) : body);
    expect(await call()).toMatchObject({ code: 0 });
    const refused = type.includes('grpc') ? Code.InvalidArgument : 'invalid_argument';
    expect(await call()).toMatchObject({ code: refused });
    expect([seen, read]).toEqual([['{"sent":1}', '{"sent":1}'], ['decoded']]);
    expect(told).toMatchObject([{ cause: { message: 'of the decoder' } }]);
  },
);

describe('an interceptor', () => {
  test.each(kinds)(
    'of a %s call over %s is called when its request is read, or before',
    async (kind, type) => {
      const seen: boolean[] = [];
      const interceptor: Interceptor = (next) => (request) => {
        seen.push(request.stream);
        return next(request);
      };
      const handlers = createPlainHandlers({}, { interceptors: [interceptor] });
      const unreadable = Buffer.from([0x0a, 0xff]);
      const body = hasEnvelopes(kind, type) ? encodeEnvelope(0, unreadable) : unreadable;
      await callPlain(handlers[kind], type, body);
      expect(seen).toEqual(kind === 'stream' ? [true] : []);
    },
  );
});

/** The error that ends a call, as the service is told of it. */
async function errorOf(
  kind: 'unary' | 'stream',
  type: string,
  body: Uint8Array,
  options: { header?: Record<string, string>; interceptors?: Interceptor[] } = {},
): Promise<ConnectError> {
  const told: unknown[] = [];
  const { header = {}, interceptors = [] } = options;
  const handlers = createPlainHandlers(
    {},
    {
      interceptors,
      jsonOptions: { ignoreUnknownFields: false },
      acceptCompression: [compressionGzip],
      requestGate: (context) => onEnd(context, (error) => told.push(error)),
    },
  );
  await callPlain(handlers[kind], type, body, { header });
  return told[0] as ConnectError;
}

describe('an error of Connect is known by its text', () => {
  const gzipped = encodeEnvelope(compressedFlag, gzipSync('{}'));

  test('when a message is compressed and nobody said how', async () => {
    const error = await errorOf('unary', 'application/grpc+proto', gzipped);
    expect(isCompressionUndeclared(error)).toBe(true);
    const header = { 'grpc-encoding': 'gzip' };
    const other = await errorOf('unary', 'application/grpc+proto', gzipped, { header });
    expect(isCompressionUndeclared(other)).toBe(false);
  });

  test.each(['gzip', 'not gzip'])('when %j cannot be inflated: zlib says why', async (text) => {
    const broken = text === 'gzip' ? gzipSync('{}').subarray(0, -9) : Buffer.from(text);
    const header = { 'content-encoding': 'gzip' };
    const error = await errorOf('unary', 'application/json', broken, { header });
    expect(findInflationError(error)?.message).toMatch(/unexpected end|incorrect header/);
  });

  test('when JSON has a member that its message lacks', async () => {
    const error = await errorOf('unary', 'application/json', Buffer.from('{"surplus":1}'));
    expect(findUnknownMember(error.cause as Error)).toBe('surplus');
  });

  test('when a payload is no JSON object', () => {
    const codecs = createMethodSerializationLookup(
      EventsService.method.createEvent,
      undefined,
      undefined,
      { readMaxBytes: 1_000, writeMaxBytes: 1_000 },
    );
    const causes: Error[] = [];
    try {
      codecs.getI(false).parse(Buffer.from('{"payload":[1]}'));
    } catch (error) {
      for (let one: unknown = error; one instanceof Error; one = one.cause) causes.push(one);
    }
    expect(causes.some(isNoObject)).toBe(true);
  });

  test('when a request breaks rules, which protovalidate gives as its cause', async () => {
    const interceptors = [createValidateInterceptor()];
    const body = Buffer.from('{"id":"none"}');
    const error = await errorOf('unary', 'application/json', body, { interceptors });
    expect(findBrokenRules(error)).toBeInstanceOf(ValidationError);
    expect(findBrokenRules(error)?.violations[0]?.ruleId).toMatch(/^string\./);
  });
});

test.each(kinds)(
  'a %s request over %s is inflated in the context of its call',
  async (kind, type) => {
    const calls = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const noting = {
      ...compressionGzip,
      decompress(bytes: Uint8Array, readMaxBytes: number) {
        seen.push(calls.getStore());
        return compressionGzip.decompress(bytes, readMaxBytes);
      },
    };
    const handlers = createPlainHandlers(
      { retrieveEvent: () => ({}), async *subscribeEvents() {} },
      { acceptCompression: [noting] },
    );
    const valid = gzipSync(type.includes('json') ? '{}' : '');
    const body = hasEnvelopes(kind, type) ? encodeEnvelope(compressedFlag, valid) : valid;
    const names = [
      'grpc-encoding',
      hasEnvelopes(kind, type) ? 'connect-content-encoding' : 'content-encoding',
    ];
    const header = Object.fromEntries(names.map((name) => [name, 'gzip']));
    const call = (name: string) =>
      calls.run(name, () => callPlain(handlers[kind], type, body, { header }));
    const answers = await Promise.all([call('one'), call('other')]);
    expect(answers.map(({ code }) => code)).toEqual([0, 0]);
    expect(seen.sort()).toEqual(['one', 'other']);
  },
);

describe('of what Connect marks as its own', () => {
  test('an envelope is a byte of flags, four of length, and the message', async () => {
    const message = Buffer.from('message');
    const envelope = encodeEnvelope(0b10, message);
    expect(Buffer.from(envelope)).toEqual(Buffer.from([2, 0, 0, 0, 7, ...message]));
    const split = transformSplitEnvelope(7);
    const both = Buffer.concat([envelope, envelope]);
    const read = await readAll(split(bytesOf(both)));
    expect(read.map(({ flags, data }) => [flags, `${Buffer.from(data)}`])).toEqual([
      [2, 'message'],
      [2, 'message'],
    ]);
    await expect(readAll(split(bytesOf(both.subarray(0, -1))))).rejects.toMatchObject({
      code: Code.InvalidArgument,
    });
    const tooLong = readAll(transformSplitEnvelope(6)(bytesOf(both)));
    await expect(tooLong).rejects.toMatchObject({ code: Code.ResourceExhausted });
  });

  test('the codecs of a method read and write both forms, and refuse what is too large', () => {
    const { method } = EventsService;
    const limits = { readMaxBytes: 40, writeMaxBytes: 40 };
    const codecs = createMethodSerializationLookup(method.retrieveEvent, undefined, {}, limits);
    const id = 'evt_1';
    const binary = toBinary(RetrieveEventRequestSchema, create(RetrieveEventRequestSchema, { id }));
    expect(codecs.getI(true).parse(binary)).toMatchObject({ id });
    expect(codecs.getI(false).parse(Buffer.from(`{"id":"${id}"}`))).toMatchObject({ id });
    const long = Buffer.from(JSON.stringify({ id: 'x'.repeat(40) }));
    expect(() => codecs.getI(false).parse(long)).toThrow(/resource_exhausted/);
    expect(() => codecs.getI(true).parse(Buffer.from([0x0a, 0xff]))).toThrow(ConnectError);
  });

  test('a compression is found by its name; identity and none are none; of others it says which there are', () => {
    const choose = (name: string | null) =>
      compressionNegotiate([compressionGzip], name, null, 'x-accept');
    expect(choose('gzip').request).toBe(compressionGzip);
    expect([choose('identity'), choose(null)]).toMatchObject([
      { request: null },
      { request: null },
    ]);
    const { error } = choose('zstd');
    expect(error).toMatchObject({ code: Code.Unimplemented, rawMessage: /zstd.*gzip/ });
    expect(error?.metadata.get('x-accept')).toBe('gzip');
  });

  test('codes have the names and the HTTP statuses of the Connect protocol', () => {
    expect(codeToString(Code.FailedPrecondition)).toBe('failed_precondition');
    expect(codeToString(Code.Canceled)).toBe('canceled');
    expect([Code.NotFound, Code.ResourceExhausted, Code.Internal].map(codeToHttpStatus)).toEqual([
      404, 429, 500,
    ]);
  });

  test('an error is read from its JSON, with its details', () => {
    const json = { code: 'not_found', message: 'gone', details: [{ type: 'a.B', value: 'AAAA' }] };
    const error = errorFromJson(json, undefined, new ConnectError('other'));
    expect(error).toMatchObject({ code: Code.NotFound, rawMessage: 'gone' });
    expect(error.details).toHaveLength(1);
    expect(() => errorFromJson('no object', undefined, new ConnectError('other'))).toThrow('other');
  });
});

async function readAll<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

async function* bytesOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
