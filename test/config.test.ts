import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ConfigInvalid, readConfig } from '../src/config.ts';

const url = 'postgresql://harbor@db.internal:5432/harbor';
const modes = ['disable', 'no-verify', 'prefer', 'require', 'verify-ca', 'verify-full'];

test.each(modes)('sslmode=%s is taken as it is', (mode) => {
  const given = `${url}?sslmode=${mode}`;
  expect(readConfig({ DATABASE_URL: given, PGSSLMODE: mode }).databaseUrl).toBe(given);
});

test.each(['bogus', 'allow', 'verify_full', ''])(
  'sslmode=%s is refused, with what is allowed, and not taken for something else',
  (mode) => {
    const read = () => readConfig({ DATABASE_URL: `${url}?application_name=x&sslmode=${mode}` });
    expect(read).toThrow(ConfigInvalid);
    expect(read).toThrow(`DATABASE_URL: sslmode must be one of ${modes.join(', ')}`);
  },
);

test('a PGSSLMODE that the driver would take for none at all is refused', () => {
  expect(() => readConfig({ DATABASE_URL: url, PGSSLMODE: 'verify_full' })).toThrow(
    `PGSSLMODE: must be one of ${modes.join(', ')}`,
  );
});

test('a way past a pooler without a way to it is refused', () => {
  const both = { DATABASE_URL: url, DATABASE_DIRECT_URL: `${url}?sslmode=require` };
  expect(readConfig(both).databaseDirectUrl).toBe(both.DATABASE_DIRECT_URL);
  expect(() => readConfig({ DATABASE_DIRECT_URL: url })).toThrow(
    'DATABASE_DIRECT_URL: goes with DATABASE_URL',
  );
});

test.each(['', ' ', '\t\n'])('a variable that is set to %j counts as unset', (blank) => {
  const usual = readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' });
  const names = ['PORT', 'HOST', 'METRICS_PORT', 'HARBOR_DATA_DIR', 'LOG_CALLS', 'LOG_SLOW_MS'];
  const blanks = [...names, 'OTEL_TRACES_SAMPLER_ARG', 'OTEL_SERVICE_NAME', 'DATABASE_URL'].map(
    (name) => [name, blank],
  );
  const given = { ...Object.fromEntries(blanks), OTEL_EXPORTER_OTLP_ENDPOINT: usual.tracing?.url };
  const { tracing, ...rest } = readConfig(given);
  const { tracing: usualTracing, ...usualRest } = usual;
  expect(rest).toEqual(usualRest);
  expect(tracing).toMatchObject({ ratio: 1, resource: usualTracing?.resource });
  expect(() => readConfig({ DATABASE_URL: blank }, 'url')).toThrow('DATABASE_URL: is not set');
});

test('a level that the log does not have is refused, with those that it has', () => {
  expect(() => readConfig({ LOG_LEVEL: 'INFO' })).toThrow(
    'LOG_LEVEL: must be fatal, error, warn, info, debug or silent',
  );
});

test('reflection is on unless it is turned off', () => {
  expect(readConfig({}).reflection).toBe(true);
  expect(readConfig({ REFLECTION: 'off' }).reflection).toBe(false);
  expect(() => readConfig({ REFLECTION: 'no' })).toThrow('REFLECTION: must be on or off');
});

test('what a partition of events holds is a quarter or a month', () => {
  expect(readConfig({}).eventPartitions).toBeUndefined();
  expect(readConfig({ EVENT_PARTITIONS: 'month' }).eventPartitions).toBe('month');
  expect(() => readConfig({ EVENT_PARTITIONS: 'week' })).toThrow(
    'EVENT_PARTITIONS: must be quarter or month',
  );
});

const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');

test('webhooks are told their keys, the newest first, their ranges, authorities and days', () => {
  const { webhooks } = readConfig({
    HARBOR_ENCRYPTION_KEY: `${key(1)}, ${key(2)}`,
    WEBHOOK_ALLOW_CIDRS: '10.0.0.0/8,fd00::/8',
    WEBHOOK_DENY_CIDRS: '203.0.113.0/24',
    WEBHOOK_LOG_DAYS: '7',
  });
  expect(webhooks).toEqual({
    encryptionKeys: [Buffer.alloc(32, 1), Buffer.alloc(32, 2)],
    allowCidrs: ['10.0.0.0/8', 'fd00::/8'],
    denyCidrs: ['203.0.113.0/24'],
    authorities: [],
    logDays: 7,
  });
  expect(readConfig({}).webhooks).toMatchObject({
    encryptionKeys: [],
    allowCidrs: [],
    logDays: 30,
  });
});

test.each([
  ['cut', key(1).slice(0, -2)],
  ['of 31 bytes', Buffer.alloc(31, 1).toString('base64')],
  ['in base64url', Buffer.alloc(32, 0xff).toString('base64url')],
  ['in hex', Buffer.alloc(32, 1).toString('hex')],
  ['one of two', `${key(1)},nothing`],
])('an encryption key that is %s is refused, and not told', (_what, given) => {
  const read = () => readConfig({ HARBOR_ENCRYPTION_KEY: given });
  expect(read).toThrow(/HARBOR_ENCRYPTION_KEY: must be 32 random bytes in base64/);
  expect(read).not.toThrow(given);
});

test.each(['10.0.0.0', '10.0.0.0/33', 'localhost', 'fd00::/129'])(
  '%s is no range of addresses',
  (range) => {
    for (const name of ['WEBHOOK_ALLOW_CIDRS', 'WEBHOOK_DENY_CIDRS']) {
      expect(() => readConfig({ [name]: range })).toThrow(`${name}: must be ranges such as`);
    }
  },
);

const tls = join(import.meta.dirname, 'support/tls');

test('authorities of webhooks are the certificates of a file, and a file without any is refused', () => {
  const path = join(tls, 'cert.pem');
  const { webhooks } = readConfig({ WEBHOOK_CA_FILE: path });
  expect(webhooks.authorities).toEqual([readFileSync(path, 'utf8').trim()]);
  for (const other of [join(tls, 'key.pem'), import.meta.filename]) {
    expect(() => readConfig({ WEBHOOK_CA_FILE: other })).toThrow(
      'WEBHOOK_CA_FILE: must hold certificates in PEM',
    );
  }
});

test('there are metrics where a port is given, which is none that callers use', () => {
  expect(readConfig({}).metrics).toBeUndefined();
  expect(readConfig({ METRICS_HOST: '::' }).metrics).toBeUndefined();
  expect(readConfig({ METRICS_PORT: '9464' }).metrics).toEqual({ host: '127.0.0.1', port: 9464 });
  expect(readConfig({ METRICS_PORT: '0', PORT: '0', METRICS_HOST: '::' }).metrics).toEqual({
    host: '::',
    port: 0,
  });
  expect(() => readConfig({ METRICS_PORT: '8080' })).toThrow(
    'METRICS_PORT: must be another one than PORT',
  );
  expect(() => readConfig({ METRICS_PORT: 'on' })).toThrow(
    'METRICS_PORT: must be a whole number from 0 to 65535',
  );
});

test('calls are logged all, or those that failed, or the slow ones too', () => {
  expect(readConfig({}).callLog).toEqual({ which: 'all', slowMs: 1_000 });
  expect(readConfig({ LOG_CALLS: 'slow', LOG_SLOW_MS: '250' }).callLog).toEqual({
    which: 'slow',
    slowMs: 250,
  });
  expect(() => readConfig({ LOG_CALLS: 'none' })).toThrow('LOG_CALLS: must be all, errors or slow');
  expect(() => readConfig({ LOG_SLOW_MS: '0' })).toThrow(
    'LOG_SLOW_MS: must be a whole number from 1 to 600000',
  );
});
