import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createEventsClient } from '../support/clients.ts';
import { type Collector, startCollector } from '../support/otlp-collector.ts';
import { startServiceProcess } from '../support/service-process.ts';
import { startTestService } from '../support/test-service.ts';
import { createEvent, startTracedService, type TracedService } from '../support/traced-service.ts';

let collector: Collector;
beforeEach(async () => {
  collector = await startCollector();
});
afterEach(() => collector.close());

/** What a create ends: call, wait and statement. */
const spansPerCreate = 3;

async function createMany(service: TracedService, count: number): Promise<void> {
  const client = createEventsClient(service);
  const event = { workspaceId: service.workspaceId, type: 'traced', payload: {} };
  for (let made = 0; made < count; made++) await client.createEvent(event);
}

const linesOfLost = ({ logLines }: TracedService) =>
  logLines.filter(({ msg }) => msg === 'spans were lost');
const countLost = (service: TracedService) =>
  linesOfLost(service).reduce((sum, { spans }) => sum + Number(spans), 0);

test('a stop sends the spans that wait for a batch', async () => {
  const service = await startTracedService({ OTEL_BSP_SCHEDULE_DELAY: '60000' }, collector);
  await createMany(service, 3);
  expect(collector.requests).toEqual([]);
  await service.stop();
  expect(collector.spans.filter(({ name }) => name === createEvent)).toHaveLength(3);
  expect(linesOfLost(service)).toEqual([]);
});

test('a collector gets what the variables of OpenTelemetry say, and the log none of its secrets', async () => {
  const service = await startTracedService(
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.endpoint}/behind/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20planted-secret,x-tenant=one',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-tenant=two',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_SERVICE_NAME: 'events-of-ours',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=testing,service.name=not-this',
    },
    collector,
  );
  await createMany(service, 1);
  const [span] = await collector.waitFor(createEvent);
  expect(span?.resource).toMatchObject({
    'service.name': 'events-of-ours',
    'deployment.environment.name': 'testing',
  });
  expect(collector.requests[0]).toMatchObject({
    path: '/behind/v1/traces',
    headers: {
      authorization: 'Bearer planted-secret',
      'x-tenant': 'two',
      'content-encoding': 'gzip',
      'content-type': 'application/x-protobuf',
    },
  });
  await service.stop();
  expect(JSON.stringify(service.logLines)).not.toContain('planted-secret');
});

test('a collector behind TLS is verified, and shown the certificate of the service', async () => {
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) =>
    join(import.meta.dirname, '../support/tls', name),
  ) as [string, string];
  const read = (path: string) => readFileSync(path, 'utf8');
  const secure = await startCollector({
    cert: read(cert),
    key: read(key),
    ca: read(cert),
    requestCert: true,
    rejectUnauthorized: true,
  });
  const service = await startTracedService(
    {
      OTEL_EXPORTER_OTLP_CERTIFICATE: cert,
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: cert,
      OTEL_EXPORTER_OTLP_CLIENT_KEY: key,
    },
    secure,
  );
  await createMany(service, 1);
  await secure.waitFor(createEvent);
  await service.stop();
  const distrusting = await startTracedService({}, secure);
  await createMany(distrusting, 1);
  await expect.poll(() => linesOfLost(distrusting), { timeout: 20_000 }).not.toEqual([]);
  await distrusting.stop();
  expect(countLost(distrusting)).toBe(spansPerCreate);
  await secure.close();
});

test('a collector that is away for a moment misses nothing', async () => {
  collector.reply = 503;
  const service = await startTracedService({}, collector);
  await createMany(service, 1);
  await expect.poll(() => collector.requests.length).toBeGreaterThan(0);
  collector.reply = 200;
  await collector.waitFor(createEvent);
  await service.stop();
  expect(linesOfLost(service)).toEqual([]);
});

test('a collector that is not there costs no call, and the log counts the spans that are lost', async () => {
  await collector.close();
  const service = await startTracedService({ OTEL_EXPORTER_OTLP_TIMEOUT: '100' }, collector);
  await createMany(service, 20);
  await expect.poll(() => linesOfLost(service), { timeout: 20_000 }).toHaveLength(1);
  expect(linesOfLost(service)[0]).toMatchObject({
    level: 40,
    cause: expect.stringContaining('ECONNREFUSED'),
  });
  await service.stop();
  // One at once, and what came within a minute of it with the stop.
  expect(linesOfLost(service).length).toBeLessThanOrEqual(2);
  expect(countLost(service)).toBe(20 * spansPerCreate);
});

test('a collector that refuses spans gets no more of them again, and the log says with what', async () => {
  collector.reply = 400;
  const service = await startTracedService({}, collector);
  await createMany(service, 1);
  await expect.poll(() => linesOfLost(service), { timeout: 20_000 }).not.toEqual([]);
  expect(linesOfLost(service)[0]).toMatchObject({ cause: expect.stringContaining('400') });
  await service.stop();
  expect(countLost(service)).toBe(spansPerCreate);
});

test('a collector that hangs holds up neither calls nor the stop, and so many spans at the most', async () => {
  collector.reply = 'nothing';
  const service = await startTracedService({ OTEL_BSP_MAX_QUEUE_SIZE: '10' }, collector);
  await createMany(service, 20);
  await expect.poll(() => linesOfLost(service), { timeout: 20_000 }).toHaveLength(1);
  expect(linesOfLost(service)[0]).toMatchObject({ cause: 'too many are held' });
  await service.stop();
  expect(countLost(service)).toBe(20 * spansPerCreate);
});

test('a process whose collector hangs stops on a signal as any other', async () => {
  collector.reply = 'nothing';
  const other = await startTestService();
  const victim = await startServiceProcess(other.database.url, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    OTEL_EXPORTER_OTLP_TIMEOUT: '60000',
    OTEL_BSP_SCHEDULE_DELAY: '10',
  });
  const { secretKey, workspaceId } = other;
  const client = createEventsClient({ baseUrl: victim.baseUrl, secretKey });
  await client.createEvent({ workspaceId, type: 'traced', payload: {} });
  await expect.poll(() => collector.requests.length).toBeGreaterThan(0);
  await victim.kill('SIGTERM');
  expect(await victim.ended).toEqual({ code: 0, signal: null });
  await other.stop();
}, 60_000);
