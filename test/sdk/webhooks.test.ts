import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import {
  Harbor,
  InvalidOptionError,
  WebhookVerificationError,
  webhooks,
} from '../../sdk/src/index.ts';
import { parseJson } from '../../sdk/src/webhooks/parse-json.ts';
import { createJsonParse } from '../../src/json-parse.ts';
import {
  newWebhookSecret,
  signatureHeaders,
  toSigningKey,
} from '../../src/webhooks/signing/sign.ts';

const secret = newWebhookSecret();
const json = {
  id: 'evt_01m8acgmdve0tvv89wdt3q9548',
  type: 'invoice.paid',
  workspace_id: 'ws_018f3a2e4b9c',
  payload: { invoice_id: 'inv_1', amount_cents: 4200 },
  created_at: '2026-11-25T22:16:42.172Z',
  sequence: 7,
};
const body = JSON.stringify(json);

/** A request as the service signs it. */
function signed(text = body, secrets: readonly string[] = [secret], atMs = Date.now()) {
  const message = { id: json.id, atMs, body: Buffer.from(text) };
  return signatureHeaders(secrets.map(toSigningKey), message);
}

async function failureOf(unwrapping: Promise<unknown>): Promise<WebhookVerificationError> {
  const error = await unwrapping.catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(WebhookVerificationError);
  return error as WebhookVerificationError;
}

test('an event comes out as the client shows it, every fact of it', async () => {
  const facts = {
    subject: 'inv_1',
    occurred_at: '2026-11-25T22:16:41.000125Z',
    metadata: { correlation_id: 'c1' },
    erased_at: '2026-11-26T00:00:00Z',
  };
  const text = JSON.stringify({ ...json, ...facts });
  expect(await webhooks.unwrap(text, signed(text), secret)).toEqual({
    id: json.id,
    type: 'invoice.paid',
    workspaceId: 'ws_018f3a2e4b9c',
    payload: { invoiceId: 'inv_1', amountCents: 4200 },
    createdAt: new Date('2026-11-25T22:16:42.172Z'),
    sequence: 7,
    subject: 'inv_1',
    occurredAt: new Date('2026-11-25T22:16:41.000Z'),
    occurredAtExact: '2026-11-25T22:16:41.000125Z',
    metadata: { correlation_id: 'c1' },
    erasedAt: new Date('2026-11-26T00:00:00Z'),
  });
  const bare = await webhooks.unwrap(body, signed(), secret);
  expect(Object.keys(bare)).toEqual([
    'id',
    'type',
    'workspaceId',
    'payload',
    'createdAt',
    'sequence',
  ]);
});

const bytes = new TextEncoder().encode(body);
const inAnother = new Uint8Array(bytes.length + 9);
inAnother.set(bytes, 5);

test.each([
  ['text', body],
  ['a Buffer', Buffer.from(body)],
  ['a Uint8Array', bytes],
  ['a part of another one', inAnother.subarray(5, 5 + bytes.length)],
  ['an ArrayBuffer', bytes.slice().buffer],
])('a body may be %s', async (_, given) => {
  expect((await webhooks.unwrap(given, signed(), secret)).sequence).toBe(7);
});

test('headers may be Headers, or an object with names in any case', async () => {
  const headers = signed();
  const upper = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]),
  );
  const rows = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
  for (const given of [
    headers,
    new Headers(headers),
    upper,
    rows,
    { ...headers, host: undefined },
  ]) {
    expect((await webhooks.unwrap(body, given, secret)).id).toBe(json.id);
  }
});

test('any of several secrets is enough, on either side', async () => {
  const other = newWebhookSecret();
  const third = newWebhookSecret();
  await webhooks.verify(body, signed(body, [other, secret]), secret);
  await webhooks.verify(body, signed(), [third, secret]);
  await webhooks.verify(body, signed(body, [third, other]), [secret, other]);
  expect(
    await failureOf(webhooks.verify(body, signed(body, [third]), [secret, other])),
  ).toMatchObject({
    check: 'signature',
    code: 'unauthenticated',
    reason: 'WEBHOOK_NOT_VERIFIED',
    retryable: false,
  });
});

test('the client has the same, with its own payload keys, and a call may choose others', async () => {
  const secretKey = 'hbr_sk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK';
  const harbor = new Harbor({ secretKey, payloadKeys: 'preserve' });
  const kept = await harbor.webhooks.unwrap(body, signed(), secret);
  expect(kept.payload).toEqual({ invoice_id: 'inv_1', amount_cents: 4200 });
  const rewritten = await harbor.webhooks.unwrap(body, signed(), secret, {
    payloadKeys: 'camelCase',
  });
  expect(rewritten.payload).toEqual({ invoiceId: 'inv_1', amountCents: 4200 });
});

describe('what is not genuine is refused, and the error says by which check:', () => {
  const headers = signed();
  const without = (name: string) => ({ ...headers, [name]: undefined });

  test.each([
    ['no webhook-id', without('webhook-id'), 'webhook-id is missing'],
    ['no webhook-timestamp', without('webhook-timestamp'), 'webhook-timestamp is missing'],
    ['no webhook-signature', without('webhook-signature'), 'webhook-signature is missing'],
    ['an empty header', { ...headers, 'webhook-id': '' }, 'webhook-id is missing'],
    ['a header that came twice', { ...headers, 'webhook-id': ['a', 'b'] }, 'webhook-id is missing'],
    ['a time in words', { ...headers, 'webhook-timestamp': 'now' }, 'whole seconds'],
    [
      'a time with more behind it',
      { ...headers, 'webhook-timestamp': `${headers['webhook-timestamp']}.5` },
      'whole seconds',
    ],
    [
      'a signature of another version',
      { ...headers, 'webhook-signature': 'v2,abc v1a,abc' },
      'no signature v1',
    ],
  ])('headers: %s', async (_, given, told) => {
    const error = await failureOf(webhooks.unwrap(body, given, secret));
    expect(error.check).toBe('headers');
    expect(error.message).toContain(told);
  });

  test('timestamp: too long ago, or too far ahead; and as far as it is told to bear', async () => {
    const at = (seconds: number) => signed(body, [secret], Date.now() + seconds * 1_000);
    for (const seconds of [-305, 305, -86_400]) {
      const error = await failureOf(webhooks.unwrap(body, at(seconds), secret));
      expect(error.check).toBe('timestamp');
      expect(error.message).toMatch(seconds < 0 ? /s ago/ : /s in the future/);
    }
    for (const seconds of [-290, 290]) await webhooks.verify(body, at(seconds), secret);
    await webhooks.verify(body, at(-86_400), secret, {
      toleranceSeconds: Number.POSITIVE_INFINITY,
    });
    const strict = webhooks.verify(body, at(-10), secret, { toleranceSeconds: 5 });
    expect((await failureOf(strict)).check).toBe('timestamp');
  });

  test.each([
    ['another body', `${body} `, headers],
    [
      'a body that was parsed and written again',
      JSON.stringify(JSON.parse(body), null, 1),
      headers,
    ],
    ['another id', body, { ...headers, 'webhook-id': 'evt_2' }],
    [
      'another time',
      body,
      { ...headers, 'webhook-timestamp': `${Number(headers['webhook-timestamp']) - 1}` },
    ],
    [
      'a signature that is cut',
      body,
      { ...headers, 'webhook-signature': headers['webhook-signature']?.slice(0, -8) },
    ],
    ['a signature that is none', body, { ...headers, 'webhook-signature': 'v1,§§§ v1,' }],
    ['a secret of somebody else', body, signed(body, [newWebhookSecret()])],
    [
      'many signatures of somebody else',
      body,
      signed(body, Array.from({ length: 100 }, newWebhookSecret)),
    ],
  ])('signature: %s', async (_, text, given) => {
    expect((await failureOf(webhooks.unwrap(text, given, secret))).check).toBe('signature');
  });

  test.each([
    ['no JSON', 'hello', 'not a JSON object'],
    ['an array', '[]', 'not a JSON object'],
    ['bytes that are no text', Buffer.from([0x22, 0xff, 0x22]), 'not a JSON object'],
    ['nothing', '', 'not a JSON object'],
    ['no id', JSON.stringify({ ...json, id: undefined }), 'id is missing'],
    ['no type', JSON.stringify({ ...json, type: 1 }), 'type is missing'],
    ['no payload', JSON.stringify({ ...json, payload: 'a' }), 'payload is missing'],
    ['no time', JSON.stringify({ ...json, created_at: 'today' }), 'created_at is missing'],
    ['no sequence', JSON.stringify({ ...json, sequence: '7' }), 'sequence is missing'],
    ['other metadata', JSON.stringify({ ...json, metadata: { a: 1 } }), 'metadata is missing'],
  ])('body: %s, though it was signed', async (_, given, told) => {
    const own = await webhooks.sign(given, secret);
    const error = await failureOf(webhooks.unwrap(given, own, secret));
    expect(error.check).toBe('body');
    expect(error.message).toContain(told);
    await webhooks.verify(given, own, secret);
  });
});

test.each<[string, () => Promise<unknown>, string]>([
  ['no secret', () => webhooks.verify(body, signed(), undefined as never), 'secret'],
  ['an empty secret', () => webhooks.verify(body, signed(), 'whsec_'), 'secret'],
  ['an API key', () => webhooks.verify(body, signed(), 'hbr_sk_1'), 'secret'],
  ['no secrets', () => webhooks.verify(body, signed(), []), 'secret'],
  ['a body that was parsed', () => webhooks.unwrap(json as never, signed(), secret), 'body'],
  ['no headers', () => webhooks.verify(body, undefined as never, secret), 'headers'],
  [
    'no tolerance',
    () => webhooks.verify(body, signed(), secret, { toleranceSeconds: 0 }),
    'toleranceSeconds',
  ],
  [
    'other payload keys',
    () => webhooks.unwrap(body, signed(), secret, { payloadKeys: 'kebab' as never }),
    'payloadKeys',
  ],
  ['no time', () => webhooks.sign(body, secret, { timestamp: new Date('never') }), 'timestamp'],
])('a mistake in the program is told as one: %s', async (_, call, option) => {
  const error = await call().catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(InvalidOptionError);
  expect(error).toMatchObject({ option });
});

test('what it signs is what the service signs, and the library of Standard Webhooks verifies', async () => {
  const other = newWebhookSecret();
  const timestamp = new Date();
  const own = await webhooks.sign(body, [secret, other], { id: json.id, timestamp });
  expect(own).toEqual(signed(body, [secret, other], timestamp.getTime()));
  expect(new Webhook(other).verify(body, own)).toEqual(json);
  const library = {
    'webhook-id': 'evt_1',
    'webhook-timestamp': `${Math.floor(timestamp.getTime() / 1_000)}`,
    'webhook-signature': new Webhook(secret).sign('evt_1', timestamp, body),
  };
  await webhooks.verify(body, library, secret);
  expect((await webhooks.unwrap(body, await webhooks.sign(body, secret), secret)).id).toBe(json.id);
});

test('names with escapes are read as they are written, whatever was read before', async () => {
  const text = (payload: string) => body.replace(/"payload":\{[^}]*\}/, `"payload":${payload}`);
  for (const payload of [
    '{"h":[],"\\\\":0}',
    '{"h":1,"\\"":2}',
    '{"__proto__":{"\\n":[{"\\u0061":1}]}}',
  ]) {
    const whole = text(payload);
    const event = await webhooks.unwrap(whole, signed(whole), secret, { payloadKeys: 'preserve' });
    expect(event.payload).toEqual(createJsonParse(JSON.parse)(payload));
  }
  const marked = '{"\\u0041":"\\"","\uE0000":{"\uE000":1},"a\\\\":"b\\\\","c":"\\":"}';
  expect(parseJson(marked)).toEqual({ A: '"', '\uE0000': { '\uE000': 1 }, 'a\\': 'b\\', c: '":' });
  expect(() => parseJson('{"\\"')).toThrow(SyntaxError);
});
