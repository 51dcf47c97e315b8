import { inspect } from 'node:util';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Harbor, type HarborOptions, InvalidOptionError } from '../../sdk/src/index.ts';
import { parseOptions } from '../../sdk/src/options.ts';

const secretKey = 'hbr_sk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK';

function construct(options: unknown): () => Harbor {
  return () => new Harbor(options as HarborOptions);
}

describe('options of a client', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test.each([undefined, null, ''])(
    'says to set HARBOR_SECRET_KEY when secretKey is %j',
    (missing) => {
      expect(construct({ secretKey: missing })).toThrow(InvalidOptionError);
      expect(construct({ secretKey: missing })).toThrow(/set HARBOR_SECRET_KEY/);
    },
  );

  test.each([
    `${secretKey}\n`,
    ` ${secretKey}`,
    `"${secretKey}"`,
    'sk_live_4242424242',
    'hbr_sk_!secret',
  ])('refuses %j for a secretKey without repeating it', (malformed) => {
    const message = messageOf(construct({ secretKey: malformed }));
    expect(message).toMatch(/^secretKey is not an API key: set HARBOR_SECRET_KEY/);
    expect(message).not.toContain(malformed.trim().slice(7));
  });

  test('refuses a secretKey that ends after its prefix, or is not text', () => {
    expect(construct({ secretKey: 'hbr_sk_' })).toThrow(/^secretKey is not an API key/);
    expect(construct({ secretKey: 42 })).toThrow(/^secretKey is not an API key/);
  });

  test.each([
    [{ maxRetries: -1 }, /^maxRetries must be an integer from 0 to 100/],
    [{ maxRetries: 1.5 }, /^maxRetries must be/],
    [{ maxRetries: '2' }, /^maxRetries must be/],
    [{ timeoutMs: 0 }, /^timeoutMs must be an integer from 1 to 2147483647/],
    [{ timeoutMs: Number.POSITIVE_INFINITY }, /^timeoutMs must be/],
    [{ baseUrl: 'events.example.com' }, /^baseUrl must be an http:\/\/ or https:\/\/ URL/],
    [{ baseUrl: 'ftp://events.example.com' }, /^baseUrl must be/],
    [{ baseUrl: 'https://user:pass@events.example.com' }, /^baseUrl must be/],
    [{ baseUrl: '' }, /^baseUrl must be/],
    [{ payloadKeys: 'snake_case' }, /^payloadKeys must be 'camelCase' or 'preserve'/],
    [{ payloadIntegers: 'all' }, /^payloadIntegers must be 'safe' or 'any'/],
    [{ fetch: 'fetch' }, /^fetch must be a function/],
  ])('refuses %j and says the rule', (option, message) => {
    expect(construct({ secretKey, ...option })).toThrow(InvalidOptionError);
    expect(construct({ secretKey, ...option })).toThrow(message);
  });

  test.each([
    ['baseURL', 'baseUrl'],
    ['base_url', 'baseUrl'],
    ['secretkey', 'secretKey'],
    ['timeout', 'timeoutMs'],
    ['retries', 'maxRetries'],
    ['payloadkeys', 'payloadKeys'],
  ])('refuses %s, which there is not, and names %s', (option, nearest) => {
    for (const value of ['http://127.0.0.1:1', undefined]) {
      const options = construct({ secretKey, [option]: value });
      expect(options).toThrow(InvalidOptionError);
      expect(messageOf(options)).toBe(`${option} is not an option; did you mean ${nearest}?`);
    }
  });

  test('names every option where none is near, and tells of a misspelt secretKey before a missing one', () => {
    expect(messageOf(construct({ secretKey, workspaceId: 'ws_1' }))).toBe(
      'workspaceId is not an option; there are secretKey, baseUrl, payloadKeys, payloadIntegers, maxRetries, timeoutMs and fetch.',
    );
    expect(messageOf(construct({ secretkey: secretKey }))).toContain('did you mean secretKey?');
  });

  test('asks for options when there are none', () => {
    expect(construct(undefined)).toThrow(/new Harbor\({ secretKey }\)/);
  });

  test('takes 0 for maxRetries as none, and 2 retries and 10 s by default', () => {
    expect(parseOptions({ secretKey, maxRetries: 0 }).maxRetries).toBe(0);
    expect(parseOptions({ secretKey })).toMatchObject({ maxRetries: 2, timeoutMs: 10_000 });
  });

  test('takes baseUrl before HARBOR_BASE_URL before http://127.0.0.1:8080', () => {
    const baseUrl = 'https://a.example.com/events/';
    expect(parseOptions({ secretKey, baseUrl }, 'https://b.example.com').baseUrl).toBe(
      'https://a.example.com/events',
    );
    expect(parseOptions({ secretKey }, 'https://b.example.com').baseUrl).toBe(
      'https://b.example.com',
    );
    expect(parseOptions({ secretKey }, '').baseUrl).toBe('http://127.0.0.1:8080');
    expect(parseOptions({ secretKey }).baseUrl).toBe('http://127.0.0.1:8080');
  });

  test('reads HARBOR_BASE_URL when a client is made, and names it when it is wrong', () => {
    vi.stubEnv('HARBOR_BASE_URL', 'events.example.com');
    expect(construct({ secretKey })).toThrow(/^HARBOR_BASE_URL must be/);
    expect(construct({ secretKey, baseUrl: 'http://127.0.0.1:1' })).not.toThrow();
  });

  test('can be made where there is no process, as in a browser', () => {
    vi.stubGlobal('process', undefined);
    expect(construct({ secretKey })).not.toThrow();
    vi.unstubAllGlobals();
  });

  test('never shows the secret key when a client is printed', () => {
    const harbor = new Harbor({ secretKey });
    const printed = inspect(harbor, { depth: 20, showHidden: true }) + JSON.stringify(harbor);
    expect(printed).not.toContain(secretKey.slice(7));
  });
});

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}
