import { credentials, Client as GrpcClient } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { Harbor } from '../../sdk/src/index.ts';
import { idOf } from '../../src/type-id.ts';
import { checkOut, type EarlierVersion, isInClone } from '../support/earlier-version.ts';
import { type Endpoints, startEndpoints } from '../support/endpoints.ts';
import { callUnary, metadataOf } from '../support/grpc-js-client.ts';
import { runHarbor } from '../support/harbor-cli.ts';
import { type ServiceProcess, startServiceProcess } from '../support/service-process.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

/** The version before metrics, traces and limits: a rollout comes from it, and may go back to it. */
const earlierCommit = 'ab4be13643f81291d80f6dfca4f4010d32c47625';
/** A shallow clone may lack it; .ci/run says so in its closing lines. */
const isHere = await isInClone(earlierCommit);

let database: TestDatabase;
let endpoints: Endpoints;
let version: EarlierVersion;
let running: ServiceProcess[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  endpoints = await startEndpoints();
});
afterEach(async () => {
  await Promise.all(running.map((one) => one.kill('SIGKILL')));
  running = [];
  await endpoints.stop();
  await version.remove();
  await database.drop();
});

/** Starts a process, and has calls come to it once it is ready. */
async function startReady(entry?: string): Promise<ServiceProcess> {
  const started = await startServiceProcess(database.url, { LOG_LEVEL: 'info' }, entry);
  running.push(started);
  await expect.poll(async () => (await fetch(`${started.baseUrl}/readyz`)).status).toBe(200);
  endpoints.add(started.baseUrl);
  return started;
}

/** As a Deployment with maxSurge 1 and maxUnavailable 0 does: a new one first, and when that is ready the old one goes. */
async function replace(old: ServiceProcess, entry?: string): Promise<ServiceProcess> {
  const next = await startReady(entry);
  endpoints.remove(old.baseUrl);
  await old.kill('SIGTERM');
  expect(await old.ended).toEqual({ code: 0, signal: null });
  return next;
}

/** Creates and reads by the SDK and by gRPC, none of which fails for whoever calls. */
function startCallers(secretKey: string, workspaceId: string) {
  const { baseUrl } = endpoints;
  const harbor = new Harbor({ secretKey, baseUrl });
  const grpc = new GrpcClient(new URL(baseUrl).host, credentials.createInsecure());
  const metadata = metadataOf({ authorization: `Bearer ${secretKey}` });
  const acknowledged: string[] = [];
  const failures: unknown[] = [];
  const waiting: { at: number; resolve: () => void }[] = [];
  let isStopped = false;

  async function keepCalling(create: (key: string) => Promise<string>, caller: number) {
    for (let turn = 0; !isStopped && failures.length === 0; turn++) {
      try {
        acknowledged.push(await create(`${caller} ${turn}`));
      } catch (error) {
        failures.push(error);
      }
      for (const { at, resolve } of waiting) if (acknowledged.length >= at) resolve();
    }
  }
  const event = { workspaceId, type: 'rolled', payload: {} };
  const bySdk = async (idempotencyKey: string) => {
    const { id } = await harbor.events.create(event, { idempotencyKey });
    await harbor.events.retrieve(id);
    return id;
  };
  // Without a key and without a retry of the caller's own: grpc-js repeats what no server has begun.
  const byGrpc = async () => {
    const { createEvent } = EventsService.method;
    const { event: created } = await callUnary(grpc, createEvent, event, metadata);
    return created?.id ?? '';
  };
  const callers = [1, 2, 3, 4].flatMap((caller) => [
    keepCalling(bySdk, caller),
    keepCalling(byGrpc, caller),
  ]);
  return {
    failures,
    /** Resolves when so many more creates were acknowledged, or one has failed. */
    more: (count: number) =>
      Promise.race([
        new Promise<void>((resolve) => {
          waiting.push({ at: acknowledged.length + count, resolve });
        }),
        Promise.all(callers),
      ]),
    async stop() {
      isStopped = true;
      await Promise.all(callers);
      grpc.close();
      return acknowledged;
    },
  };
}

/** Follows the log from its beginning, across processes. */
function startFollower(secretKey: string, workspaceId: string) {
  const harbor = new Harbor({ secretKey, baseUrl: endpoints.baseUrl });
  const ids: string[] = [];
  const left = new AbortController();
  const reading = (async () => {
    const query = { workspaceId, afterSequence: 0 };
    for await (const { id } of harbor.events.subscribe(query, { signal: left.signal }))
      ids.push(id);
  })();
  reading.catch(() => undefined);
  return {
    ids,
    leave: () => left.abort(),
  };
}

async function makeWorkspace(): Promise<{ workspaceId: string; secretKey: string }> {
  const ask = (...args: string[]) => version.harbor(database.url, ...args);
  const [workspaceId = ''] = (await ask('workspaces', 'create')).match(/ws_[0-9a-z]+/) ?? [];
  const [secretKey = ''] = (await ask('keys', 'create', '--kind', 'secret')).match(/hbr_\w+/) ?? [];
  return { workspaceId, secretKey };
}

test.skipIf(!isHere)(
  'an upgrade from an earlier version, one process after another, and the way back fail no call',
  async () => {
    await database.query('drop schema public cascade; create schema public');
    version = await checkOut(earlierCommit);
    const old = [await startReady(version.main), await startReady(version.main)] as const;
    const { workspaceId, secretKey } = await makeWorkspace();
    const callers = startCallers(secretKey, workspaceId);
    const follower = startFollower(secretKey, workspaceId);
    await callers.more(100);

    // The job of the new version, while the old one works.
    const migrated = await runHarbor(['migrate'], { DATABASE_URL: database.url });
    expect(migrated).toMatchObject({ code: 0, stdout: expect.stringContaining('ran 0') });
    await callers.more(100);
    const upgraded = [await replace(old[0]), await replace(old[1])] as const;
    await callers.more(100);
    await replace(upgraded[0], version.main);
    await replace(upgraded[1], version.main);
    await callers.more(100);

    const acknowledged = await callers.stop();
    expect(callers.failures).toEqual([]);
    expect(new Set(acknowledged).size).toBe(acknowledged.length);
    const log = (
      await database.query<{ id: string }>('select id from events order by sequence')
    ).map(({ id }) => idOf('evt', id));
    expect(new Set(log)).toEqual(new Set(acknowledged));
    await expect.poll(() => follower.ids.length).toBe(log.length);
    expect(follower.ids).toEqual(log);
    follower.leave();
  },
  300_000,
);
