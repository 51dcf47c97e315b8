import { once } from 'node:events';
import { Client, type ClientReadableStream, credentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../gen/typescript/health/v1/health_pb.ts';
import { callStream, callUnary, metadataOf, serviceErrorOf } from './support/grpc-js-client.ts';
import { sendRequest } from './support/http-request.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let service: TestService;
let client: Client;
const dial = ({ host, port }: TestService) =>
  new Client(`${host}:${port}`, credentials.createInsecure());
beforeAll(async () => {
  service = await startTestService();
  client = dial(service);
});
afterAll(async () => {
  client.close();
  await service.stop();
});

const check = (name: string) =>
  callUnary(client, Health.method.check, { service: name }, metadataOf({}));
const nextStatus = async (watch: ClientReadableStream<HealthCheckResponse>) => {
  const [response] = await once(watch, 'data');
  return response.status;
};

describe('grpc.health.v1 without a key', () => {
  test.each(['', 'harbor.events.v1.EventsService', 'harbor.workspaces.v1.WorkspacesService'])(
    'Check of %j says SERVING',
    async (name) => {
      expect(await check(name)).toMatchObject({ status: ServingStatus.SERVING });
    },
  );

  test('Check of a service that there is not says NOT_FOUND', async () => {
    expect((await serviceErrorOf(check('nobody'))).code).toBe(status.NOT_FOUND);
  });

  test('Watch of a service that there is not says SERVICE_UNKNOWN, and goes on', async () => {
    const watch = callStream(client, Health.method.watch, { service: 'nobody' });
    expect(await nextStatus(watch)).toBe(ServingStatus.SERVICE_UNKNOWN);
    watch.on('error', () => undefined).cancel();
  });

  test('a Watch that its client leaves is over for the service', async () => {
    const watch = callStream(client, Health.method.watch, { service: '' });
    expect(await nextStatus(watch)).toBe(ServingStatus.SERVING);
    watch.on('error', () => undefined).cancel();
    const line = () =>
      service.logLines.findLast(({ path }) => path === '/grpc.health.v1.Health/Watch');
    await expect.poll(line).toBeDefined();
  });
});

test('a Watch says SERVING, then NOT_SERVING when the service stops, and ends', async () => {
  const stopping = await startTestService();
  const watcher = dial(stopping);
  const watch = callStream(watcher, Health.method.watch, { service: '' });
  const seen: ServingStatus[] = [];
  watch.on('data', ({ status: current }) => seen.push(current));
  const ended = new Promise((resolve) => watch.on('status', resolve));
  watch.on('error', () => undefined);
  await expect.poll(() => seen).toEqual([ServingStatus.SERVING]);
  expect((await sendRequest(stopping, '/healthz')).status).toBe(200);
  const startedAt = performance.now();
  await stopping.stop();
  await ended;
  expect(seen).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  watcher.close();
});
