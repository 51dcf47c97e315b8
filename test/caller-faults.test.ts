import { brotliCompressSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { refusalIn, retrieveEventPath } from './support/connect-post.ts';
import { sendRequest } from './support/http-request.ts';
import {
  encodingHeader,
  envelope,
  hasEnvelopes,
  type RawWire,
  rawWireNames,
  sendRaw,
} from './support/raw-call.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

/** No line of pino from `warn` on, which is what an operator is called for, and no stack in any. */
let linesBefore = 0;
afterEach(() => {
  const lines = service.logLines.slice(linesBefore);
  linesBefore = service.logLines.length;
  expect(lines.filter(({ level, cause }) => Number(level) > 30 || cause !== undefined)).toEqual([]);
});

const text = Buffer.from(JSON.stringify({ workspaceId: 'ws_test', id: 'evt_1' }).repeat(20));
const gzip = gzipSync(text);
const brotli = brotliCompressSync(text);
const flipped = Buffer.from(gzip);
flipped.writeUInt8(flipped.readUInt8(flipped.length - 6) ^ 0xff, flipped.length - 6);

const brokenlyCompressed: [what: string, encoding: string, bytes: Buffer][] = [
  ['gzip that is cut off', 'gzip', gzip.subarray(0, -10)],
  ['gzip that ends in its header', 'gzip', gzip.subarray(0, 5)],
  ['gzip with a wrong checksum', 'gzip', flipped],
  ['garbage for gzip', 'gzip', Buffer.from('not gzip at all')],
  ['brotli that is cut off', 'br', brotli.subarray(0, -5)],
  ['garbage for brotli', 'br', Buffer.alloc(40, 0xff)],
  ['gzip for brotli', 'br', gzip],
  ['brotli for gzip', 'gzip', brotli],
];

const compressed = (wire: RawWire, bytes: Buffer) =>
  hasEnvelopes(wire) ? envelope(1, bytes) : bytes;

describe.each(rawWireNames)('over %s', (wire) => {
  test.each(brokenlyCompressed)("%s is the caller's fault", async (_what, encoding, bytes) => {
    const headers = { [encodingHeader(wire)]: encoding };
    expect(await sendRaw(service, wire, compressed(wire, bytes), headers)).toEqual({
      code: 'invalid_argument',
      reason: 'INVALID_REQUEST',
      message: expect.stringMatching(/^the request cannot be decompressed: .+/),
    });
  });

  test('an encoding that nobody knows is UNIMPLEMENTED, and the text names those that are', async () => {
    const headers = { [encodingHeader(wire)]: 'zstd' };
    expect(await sendRaw(service, wire, compressed(wire, gzip), headers)).toEqual({
      code: 'unimplemented',
      reason: 'UNIMPLEMENTED',
      message: expect.stringMatching(/gzip.*br/),
    });
  });
});

describe.each(rawWireNames)('over %s', (wire) => {
  test('a timeout beyond any timer is refused, and starts none', async () => {
    const warnings: string[] = [];
    const note = ({ name }: Error) => warnings.push(name);
    process.on('warning', note);
    const header = wire.startsWith('gRPC')
      ? { 'grpc-timeout': '99999999H' }
      : { 'connect-timeout-ms': '9999999999' };
    expect(await sendRaw(service, wire, text, header)).toEqual({
      code: 'invalid_argument',
      reason: 'INVALID_REQUEST',
      message: expect.stringMatching(/timeout.*must be at most 600/),
    });
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });
});

describe.each(rawWireNames.filter(hasEnvelopes))('over %s', (wire) => {
  test.each([undefined, 'identity'])(
    'a compressed message under the encoding %s has the code that gRPC asks for, and is no fault of ours',
    async (encoding) => {
      const headers: Record<string, string> =
        encoding === undefined ? {} : { [encodingHeader(wire)]: encoding };
      expect(await sendRaw(service, wire, envelope(1, gzip), headers)).toMatchObject({
        code: 'internal',
        reason: 'INVALID_REQUEST',
      });
      const counted = { code: 'invalid_argument', reason: 'INVALID_REQUEST' };
      await expect.poll(() => service.logLines.at(-1)).toMatchObject(counted);
    },
  );

  test.each([
    ['an envelope that is cut off', envelope(0, text).subarray(0, -1)],
    ['an envelope that ends in its prefix', Buffer.from([0, 0, 0])],
    ['a message that cannot be parsed', envelope(0, Buffer.from([0x0a, 0xff]))],
  ])("%s is the caller's fault", async (_what, body) => {
    expect(await sendRaw(service, wire, body)).toMatchObject({
      code: 'invalid_argument',
      reason: 'INVALID_REQUEST',
    });
  });
});

describe('a Connect GET', () => {
  const get = (query: string) => sendRequest(service, `${retrieveEventPath}?${query}`);
  const json = encodeURIComponent(JSON.stringify({ id: 'evt_1' }));
  // A field that nobody knows, so that its base64 holds a "+".
  const binary = Buffer.from([0x0a, 5, ...Buffer.from('evt_1'), 0x7a, 3, 0xfb, 0xef, 0xbe]);
  const base64 = binary.toString('base64');
  const base64url = binary.toString('base64url');

  test.each([
    ['JSON', `connect=v1&encoding=json&message=${json}`],
    ['JSON with a parameter that Connect does not know', `encoding=json&message=${json}&cache=1`],
    ['base64url', `connect=v1&encoding=proto&base64=1&message=${base64url}`],
    ['base64 with padding', `encoding=proto&base64=1&message=${encodeURIComponent(base64)}`],
    [
      'gzip in base64',
      `encoding=proto&base64=1&compression=gzip&message=${gzipSync(binary).toString('base64url')}`,
    ],
  ])('with %s is answered', async (_what, query) => {
    expect(await refusalIn(await get(query))).toMatchObject({ reason: 'EVENT_NOT_FOUND' });
  });

  test.each([
    ['broken base64', 'message', 'encoding=proto&base64=1&message=a%25b'],
    ['base64 of an impossible length', 'message', 'encoding=proto&base64=1&message=abcde'],
    ['a plus of base64 unescaped', 'message', `encoding=proto&base64=1&message=${base64}`],
    ['a message that is not UTF-8', 'message', 'encoding=json&message=%ff'],
    ['half an escape', 'message', 'encoding=json&message=%7'],
    ['no message', 'message', 'encoding=json'],
    ['two messages', 'message', `encoding=json&message=${json}&message=${json}`],
    ['no encoding', 'encoding', `message=${json}`],
    ['an unknown encoding', 'encoding', `encoding=xml&message=${json}`],
    ['another base64', 'base64', `encoding=json&base64=yes&message=${json}`],
    ['another version', 'connect', `connect=v2&encoding=json&message=${json}`],
  ])("with %s is the caller's fault, and names the parameter", async (_what, field, query) => {
    expect(await refusalIn(await get(query))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
      fields: [field],
      message: expect.stringMatching(new RegExp(`^${field}: must `)),
    });
  });

  test.each([
    ['a message that is no JSON', 'encoding=json&message=%7B'],
    ['a message that is no protobuf', 'encoding=proto&base64=1&message=Cv8'],
    ['gzip that is cut off', 'encoding=proto&base64=1&compression=gzip&message=H4sIAAAA'],
  ])("with %s is the caller's fault", async (_what, query) => {
    expect(await refusalIn(await get(query))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'INVALID_REQUEST',
    });
  });
});

const encodings = fc.constantFrom(undefined, 'identity', 'gzip', 'br', 'zstd', 'GZIP', 'gzip, br');
const messages = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 40 }).map((value) => Buffer.from(value)),
  fc.json({ maxDepth: 3 }).map((value) => Buffer.from(value)),
  fc.constantFrom(text, gzip, brotli, flipped),
);
const cut = fc.tuple(messages, fc.nat(80)).map(([bytes, end]) => bytes.subarray(0, end));
const bodies = fc.oneof(
  messages,
  cut,
  cut.map((bytes) => gzipSync(bytes)),
  cut.map((bytes) => gzipSync(bytes).subarray(0, -3)),
);
const flags = fc.constantFrom(0, 1, 2, 3, 0x80, 0x81, 0xff);
const enveloped = fc
  .array(fc.tuple(flags, bodies), { maxLength: 3 })
  .map((all) => Buffer.concat(all.map(([flag, bytes]) => envelope(flag, bytes))));
const timeouts = fc.constantFrom(undefined, '', '1', '10S', '99999999H', '-1', 'x'.repeat(500));

/** INTERNAL is an answer to bytes of the caller's in one case only: the one that gRPC's specification names. */
test("no bytes of a caller's are taken for a fault of the service", async () => {
  const request = fc.record({
    wire: fc.constantFrom(...rawWireNames),
    body: fc.oneof(bodies, enveloped),
    encoding: encodings,
    timeout: timeouts,
  });
  await fc.assert(
    fc.asyncProperty(request, async ({ wire, body, encoding, timeout }) => {
      const outcome = await sendRaw(service, wire, body, {
        ...(encoding !== undefined && { [encodingHeader(wire)]: encoding }),
        ...(timeout !== undefined && {
          [wire.startsWith('gRPC') ? 'grpc-timeout' : 'connect-timeout-ms']: timeout,
        }),
      });
      expect(outcome.reason).not.toBe('INTERNAL');
      expect(outcome.code).not.toBe('unknown');
      if (outcome.code === 'internal') expect(outcome.message).toMatch(/compressed/);
    }),
    { numRuns: 400 },
  );
}, 60_000);

test('no query of a Connect GET is taken for a fault of the service', async () => {
  const value = fc.oneof(
    fc.constantFrom(
      'v1',
      'json',
      'proto',
      '1',
      '0',
      'gzip',
      'br',
      'identity',
      '%7B%7D',
      '%',
      '%ff',
      '+',
    ),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => gzipSync(bytes).toString('base64url').slice(3)),
    fc.string({ maxLength: 20 }).map(encodeURIComponent),
  );
  const name = fc.constantFrom(
    'connect',
    'encoding',
    'base64',
    'compression',
    'message',
    'message',
    'x',
  );
  const query = fc.array(
    fc.tuple(name, value).map((pair) => pair.join('=')),
    { maxLength: 6 },
  );
  await fc.assert(
    fc.asyncProperty(query, async (pairs) => {
      const path = `${retrieveEventPath}?${pairs.join('&')}`;
      const { status, text: answer } = await sendRequest(service, path);
      // 501: a compression that nobody knows.
      if (status >= 500)
        expect([status, answer]).toEqual([501, expect.stringMatching(/compression/)]);
    }),
    { numRuns: 200 },
  );
}, 60_000);
