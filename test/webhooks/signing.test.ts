import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { idOf, newUuid } from '../../src/type-id.ts';
import type { Target } from '../../src/webhooks/delivery/target.ts';
import { createEncryption } from '../../src/webhooks/signing/encryption.ts';
import { headersPlace, secretPlace } from '../../src/webhooks/signing/places.ts';
import { createHeadersFor } from '../../src/webhooks/signing/request-headers.ts';
import {
  newWebhookSecret,
  signatureHeaders,
  toSigningKey,
} from '../../src/webhooks/signing/sign.ts';
import { createSigningFaults } from '../../src/webhooks/signing/signing-faults.ts';

const message = (body: string, atMs = Date.now()) => ({
  id: 'evt_01m8acgmdve0tvv89wdt3q9548',
  atMs,
  body: Buffer.from(body),
});
const bodies = ['{"id":"evt_1"}', '{"name":"Zoë 🦊\\u0000"}', '', 'a'.repeat(300_000)];

/** Whether a receiver that follows Standard Webhooks takes a request for genuine. */
function isGenuine(secret: string, headers: Record<string, string>, body: string): boolean {
  try {
    new Webhook(secret).verify(body, headers, { jsonParse: false });
    return true;
  } catch {
    return false;
  }
}

test('a secret is 32 random bytes in standard base64, and no two are alike', () => {
  const secrets = Array.from({ length: 100 }, newWebhookSecret);
  expect(new Set(secrets).size).toBe(100);
  for (const secret of secrets) expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
});

test.each([1, 2, 3])(
  'of %i secrets each signs what the library of Standard Webhooks verifies',
  (count) => {
    const secrets = Array.from({ length: count }, newWebhookSecret);
    const keys = secrets.map(toSigningKey);
    for (const body of bodies) {
      const headers = signatureHeaders(keys, message(body));
      expect(headers['webhook-signature']?.split(' ')).toHaveLength(count);
      expect(secrets.map((secret) => isGenuine(secret, headers, body))).toEqual(
        secrets.map(() => true),
      );
      expect(isGenuine(newWebhookSecret(), headers, body)).toBe(false);
      expect(isGenuine(secrets[0] as string, headers, `${body} `)).toBe(false);
      const others = { ...headers, 'webhook-id': 'evt_2' };
      expect(isGenuine(secrets[0] as string, others, body)).toBe(false);
    }
  },
);

test('a signature is of its time, in whole seconds', () => {
  const keys = [toSigningKey(newWebhookSecret())];
  const headers = signatureHeaders(keys, message('{}', 1_700_000_000_999));
  expect(headers['webhook-timestamp']).toBe('1700000000');
});

const place = secretPlace('0192ac4e-8b1d-7000-8000-000000000001');

test('what is encrypted is read by its key alone, in its place alone, and no two ciphertexts are alike', () => {
  const [key, other] = [randomBytes(32), randomBytes(32)];
  const encryption = createEncryption([key]);
  for (const text of ['whsec_abc', '', 'Zoë 🦊', 'a'.repeat(100_000)]) {
    const ciphertext = encryption.encrypt(text, place);
    expect(ciphertext).not.toEqual(encryption.encrypt(text, place));
    expect(encryption.decrypt(ciphertext, place)).toBe(text);
    expect(createEncryption([other]).decrypt(ciphertext, place)).toBeUndefined();
    const elsewhere = [
      { ...place, row: '0192ac4e-8b1d-7000-8000-000000000002' },
      { ...place, table: 'webhook_endpoints' },
      { ...place, column: 'headers' },
    ];
    for (const one of elsewhere) expect(() => encryption.decrypt(ciphertext, one)).toThrow();
  }
});

test('a ciphertext with any of its bits turned, or cut, or longer, is not read', () => {
  const encryption = createEncryption([randomBytes(32)]);
  const ciphertext = encryption.encrypt('whsec_abc', place);
  const read = (changed: Buffer) => {
    try {
      return encryption.decrypt(changed, place);
    } catch {
      return undefined;
    }
  };
  for (let bit = 0; bit < ciphertext.length * 8; bit++) {
    const changed = Buffer.from(ciphertext);
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(read(changed)).toBeUndefined();
  }
  for (let length = 0; length < ciphertext.length; length++) {
    expect(read(ciphertext.subarray(0, length))).toBeUndefined();
  }
  expect(read(Buffer.concat([ciphertext, Buffer.of(0)]))).toBeUndefined();
});

test('of several keys the newest encrypts, and each reads what is by it', () => {
  const [older, newer] = [randomBytes(32), randomBytes(32)];
  const before = createEncryption([older]).encrypt('old', place);
  const both = createEncryption([newer, older]);
  const after = both.encrypt('new', place);
  expect([both.decrypt(before, place), both.decrypt(after, place)]).toEqual(['old', 'new']);
  expect([both.isCurrent(before), both.isCurrent(after)]).toEqual([false, true]);
  expect(createEncryption([newer]).decrypt(before, place)).toBeUndefined();
  expect(() => createEncryption([newer]).open(before, place)).toThrow(both.keyNames[1]);
  expect(both.keyNames).toEqual([both.keyNameOf(after), both.keyNameOf(before)]);
});

test('without a key nothing is encrypted, and the error says how to get one', () => {
  const encryption = createEncryption([]);
  expect(encryption.canEncrypt).toBe(false);
  expect(() => encryption.encrypt('a', place)).toThrow('openssl rand -base64 32');
});

const endpointId = '0192ac4e-8b1d-7000-8000-00000000000e';

function targetOf(
  encryption: ReturnType<typeof createEncryption>,
  secrets: readonly { readonly secret: string; readonly expiresAt?: Date }[],
  headers?: Record<string, string>,
): Target {
  return {
    id: endpointId,
    workspaceId: 'ws_1',
    url: 'https://example.com',
    typePatterns: [],
    subject: undefined,
    maxInFlight: 10,
    timeoutMs: 1_000,
    ordering: 'none',
    status: 'enabled',
    headers: headers && encryption.encrypt(JSON.stringify(headers), headersPlace(endpointId)),
    secrets: secrets.map(({ secret, expiresAt }, index) => {
      const id = `0192ac4e-8b1d-7000-8000-00000000000${index}`;
      return { id, ciphertext: encryption.encrypt(secret, secretPlace(id)), expiresAt };
    }),
  };
}

test('a request has the headers of its endpoint, and none of them in place of its own', () => {
  const encryption = createEncryption([randomBytes(32)]);
  const secret = newWebhookSecret();
  const headers = createHeadersFor(encryption, () => expect.unreachable())(
    targetOf(encryption, [{ secret }], {
      authorization: 'Bearer 1',
      'user-agent': 'ours/1',
      'content-type': 'text/plain',
    }),
    message('{}'),
  );
  expect(headers).toMatchObject({
    authorization: 'Bearer 1',
    'user-agent': 'ours/1',
    'content-type': 'application/json',
  });
  expect(isGenuine(secret, headers ?? {}, '{}')).toBe(true);
});

test('an old secret signs until its overlap ends, and no longer, though nobody reads the endpoint again', () => {
  const encryption = createEncryption([randomBytes(32)]);
  const [newer, older] = [newWebhookSecret(), newWebhookSecret()];
  const end = Date.now() + 60_000;
  const target = targetOf(encryption, [
    { secret: newer },
    { secret: older, expiresAt: new Date(end) },
  ]);
  const headersFor = createHeadersFor(encryption, () => expect.unreachable());
  const signaturesAt = (atMs: number) =>
    headersFor(target, message('{}', atMs))?.['webhook-signature']?.split(' ').length;
  expect([signaturesAt(end - 1), signaturesAt(end), signaturesAt(end + 1)]).toEqual([2, 1, 1]);
});

test('what cannot be signed is not sent: without its key, damaged, or without a secret; and why is told once', () => {
  const encryption = createEncryption([randomBytes(32)]);
  const whole = targetOf(encryption, [{ secret: newWebhookSecret() }], { 'x-a': 'b' });
  const [secret] = whole.secrets as [Target['secrets'][number]];
  const moved = { ...secret, id: '0192ac4e-8b1d-7000-8000-000000000009' };
  const cases: [string, Target, ReturnType<typeof createEncryption>][] = [
    [encryption.keyNames[0] as string, whole, createEncryption([randomBytes(32)])],
    ['authenticate', { ...whole, secrets: [secret, moved] }, encryption],
    ['authenticate', { ...whole, id: moved.id }, encryption],
    ['no secret', { ...whole, secrets: [] }, encryption],
  ];
  for (const [told, target, own] of cases) {
    const errors: unknown[] = [];
    const headersFor = createHeadersFor(own, (_, error) => errors.push(error));
    expect([headersFor(target, message('{}')), headersFor(target, message('{}'))]).toEqual([
      undefined,
      undefined,
    ]);
    expect(errors.map(String)).toEqual([expect.stringContaining(told)]);
  }
});

test('a key that is missing is logged once for all endpoints, however often they are read again', () => {
  const encryption = createEncryption([randomBytes(32)]);
  const lines: { facts: Record<string, unknown>; text: string }[] = [];
  const faults = createSigningFaults({
    error: (facts, text) => void lines.push({ facts: { ...facts }, text }),
  });
  const lacking = createHeadersFor(createEncryption([randomBytes(32)]), faults);
  const own = createHeadersFor(encryption, faults);
  const read = () => targetOf(encryption, [{ secret: newWebhookSecret() }]);
  for (let round = 0; round < 3; round++) {
    expect(lacking(read(), message('{}'))).toBeUndefined();
    expect(lacking({ ...read(), id: newUuid() }, message('{}'))).toBeUndefined();
  }
  expect(lines).toMatchObject([{ facts: { key: encryption.keyNames[0] } }]);

  const damaged = { ...read(), id: newUuid(), secrets: [] };
  for (let round = 0; round < 3; round++) {
    expect(own({ ...damaged }, message('{}'))).toBeUndefined();
  }
  expect(lines.slice(1)).toMatchObject([{ facts: { endpoint: idOf('whe', damaged.id) } }]);
  const other = { ...damaged, id: newUuid() };
  expect(own(other, message('{}'))).toBeUndefined();
  expect(lines).toHaveLength(3);
});
