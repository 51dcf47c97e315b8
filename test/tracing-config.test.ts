import { expect, test } from 'vitest';
import { readConfig } from '../src/config.ts';

const endpoint = 'http://collector.internal:4318';
const read = (env: Record<string, string>) =>
  readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, ...env }).tracing;

test('nothing is traced unless an endpoint says where to, and what is set beside it is not looked at', () => {
  const others = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_TRACES_SAMPLER: 'jaeger_remote' };
  expect(readConfig(others).tracing).toBeUndefined();
  expect(read({ ...others, OTEL_SDK_DISABLED: 'TRUE' })).toBeUndefined();
  expect(read({ ...others, OTEL_TRACES_EXPORTER: 'none' })).toBeUndefined();
});

test('an endpoint is enough, and everything else is as OpenTelemetry has it', () => {
  expect(read({})).toEqual({
    url: `${endpoint}/v1/traces`,
    headers: {},
    compression: 'none',
    timeoutMs: 10_000,
    tls: { ca: undefined, cert: undefined, key: undefined },
    sampler: 'parentbased_always_on',
    ratio: 1,
    resource: { 'service.name': 'harbor-events' },
    heldMax: 2_048,
    batchMax: 512,
    delayMs: 5_000,
  });
});

test.each([
  [
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c.internal/otlp/' },
    'https://c.internal/otlp/v1/traces',
  ],
  [
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c.internal?to=one' },
    'https://c.internal/v1/traces?to=one',
  ],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:1/' }, 'http://127.0.0.1:1/'],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:1/x' }, 'http://127.0.0.1:1/x'],
])('spans go where the endpoint says: %o', (env, url) => {
  expect(read(env)?.url).toBe(url);
});

test('what is set for traces counts before what is set for all', () => {
  const both = {
    OTEL_EXPORTER_OTLP_TIMEOUT: '1',
    OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '2',
    OTEL_EXPORTER_OTLP_HEADERS: 'a=1,b=1',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: ' b = 2%2C3 ',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
  };
  expect(read(both)).toMatchObject({ timeoutMs: 2, headers: { a: '1', b: '2,3' } });
});

test.each([
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318', 'must be an http or https URL'],
  [
    'OTEL_EXPORTER_OTLP_PROTOCOL',
    'grpc',
    'must be http/protobuf, which collectors take on port 4318',
  ],
  ['OTEL_TRACES_EXPORTER', 'zipkin', 'must be otlp, or none for no tracing'],
  [
    'OTEL_EXPORTER_OTLP_HEADERS',
    'planted',
    'must be pairs such as name=value, separated by commas',
  ],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'a=%zz-planted', 'must be pairs such as name=value'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'a=planted%0Ab', 'must be names and values of headers'],
  ['OTEL_EXPORTER_OTLP_COMPRESSION', 'zstd', 'must be gzip or none'],
  ['OTEL_EXPORTER_OTLP_TIMEOUT', '0', 'must be a whole number from 1 to 60000'],
  ['OTEL_EXPORTER_OTLP_CERTIFICATE', '/nowhere.pem', 'cannot be read: '],
  ['OTEL_RESOURCE_ATTRIBUTES', 'nothing', 'must be pairs such as name=value'],
  ['OTEL_TRACES_SAMPLER', 'some', 'must be one of always_on, always_off, traceidratio, '],
  ['OTEL_TRACES_SAMPLER_ARG', '1.5', 'must be a number from 0 to 1'],
  ['OTEL_BSP_MAX_QUEUE_SIZE', 'many', 'must be a whole number from 1 to 100000'],
  ['OTEL_BSP_MAX_EXPORT_BATCH_SIZE', '0', 'must be a whole number from 1 to 10000'],
  ['OTEL_BSP_SCHEDULE_DELAY', '', undefined],
])('%s=%s is told by its name and its rule, and no secret of it', (name, value, rule) => {
  const attempt = () => read({ [name]: value });
  if (rule === undefined) return void expect(attempt()).toBeDefined();
  expect(attempt).toThrow(`${name}: ${rule}`);
  expect(attempt).not.toThrow('planted');
});
