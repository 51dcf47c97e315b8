import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { findFreePort } from '../src/embedded-postgres/index.ts';
import { createEventsClient } from './support/clients.ts';
import { seedDatabase } from './support/log-checker/seed.ts';
import {
  type Container,
  containerOf,
  manifestOf,
  type Probe,
  readManifests,
} from './support/manifests.ts';
import { createTestDatabase, type TestDatabase } from './support/test-database.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '..');
const manifests = readManifests();
const job = manifestOf(manifests, 'Job harbor-migrate');
const deployment = manifestOf(manifests, 'Deployment harbor');
const secret = manifestOf(manifests, 'Secret harbor');
const pod = deployment.spec.template;
const container = containerOf(deployment);
/** A stop takes at the most. */
const stopSeconds = 25;

let database: TestDatabase;
let ended: (() => Promise<void>) | undefined;
afterEach(async () => {
  await ended?.();
  await database?.drop();
});

/** Its own environment and that of the secret, whose database is the one of the test. */
function environmentOf({ env = [], envFrom }: Container): Record<string, string> {
  expect(envFrom).toEqual([{ secretRef: { name: secret.metadata.name } }]);
  const own = Object.fromEntries(env.map(({ name, value }) => [name, value]));
  return { ...own, ...secret.stringData, DATABASE_URL: database.url };
}

/** Node as the container has it, which may write no file: its root is read-only. */
function commandOf({ command }: Container): { program: string; args: string[] } {
  const [program, ...args] = command;
  expect(program).toBe('node');
  const readOnly = ['--permission', '--allow-fs-read=*'];
  return { program: process.execPath, args: [...readOnly, ...args] };
}

async function makeEmptyDatabase(): Promise<void> {
  database = await createTestDatabase();
  await database.query('drop schema public cascade; create schema public');
}

async function migrate(): Promise<string> {
  const { program, args } = commandOf(containerOf(job));
  const env = { PATH: process.env.PATH, ...environmentOf(containerOf(job)) };
  return (await run(program, args, { cwd: root, env })).stdout;
}

test('every variable that is set is one that the service knows', () => {
  const page = readFileSync(resolve(root, 'docs/running-in-production.md'), 'utf8');
  const known = [...page.matchAll(/^\| `([A-Z_]+)`/gm)].map(([, name]) => name);
  const given = [
    ...(container.env ?? []).map(({ name }) => name),
    ...Object.keys(secret.stringData ?? {}),
  ];
  expect(given.length).toBeGreaterThan(4);
  expect(given.filter((name) => !known.includes(name))).toEqual([]);
});

test('what selects pods and ports selects those that there are', () => {
  const { labels } = pod.metadata;
  const names = container.ports.map(({ name }) => name);
  for (const name of ['Service harbor', 'Service harbor-metrics']) {
    const { selector, ports } = manifestOf(manifests, name).spec;
    expect(labels).toMatchObject(selector);
    expect(ports.every(({ targetPort }) => names.includes(targetPort))).toBe(true);
  }
  for (const one of [deployment, manifestOf(manifests, 'PodDisruptionBudget harbor')]) {
    expect(labels).toMatchObject(one.spec.selector.matchLabels as object);
  }
  const monitor = manifestOf(manifests, 'ServiceMonitor harbor').spec;
  const scraped = manifestOf(manifests, 'Service harbor-metrics');
  expect(scraped.metadata.labels).toMatchObject(monitor.selector.matchLabels as object);
  // The job that the alerts ask for.
  expect(scraped.metadata.labels?.[monitor.jobLabel]).toBe('harbor');
  expect(monitor.endpoints).toMatchObject([{ port: scraped.spec.ports[0]?.name }]);
  const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe];
  expect(probes.every(({ httpGet }) => names.includes(httpGet.port))).toBe(true);
  // The pods of the job are none of those that take calls.
  expect(job.spec.template.metadata.labels).not.toEqual(labels);
  expect(containerOf(job).image).toBe(container.image);
});

test('one late check takes no pod out of the Service, and restarts none', () => {
  const { startupProbe, livenessProbe, readinessProbe } = container;
  // Three are what Kubernetes takes by itself.
  const thresholds = [startupProbe, livenessProbe, readinessProbe].map(
    ({ failureThreshold = 3 }) => failureThreshold,
  );
  expect(Math.min(...thresholds)).toBe(3);
});

test('pods run without rights, and the grace of a pod covers its hook and a stop', () => {
  for (const { spec } of [job.spec.template, pod]) {
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    expect(spec.containers[0]?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  }
  expect(deployment.spec.strategy.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 });
  const [sleep, seconds] = container.lifecycle.preStop.exec.command;
  expect(sleep).toBe('sleep');
  expect(pod.spec.terminationGracePeriodSeconds).toBeGreaterThan(Number(seconds) + stopSeconds);
});

test('the job migrates an empty database once, and the processes find nothing to migrate', async () => {
  await makeEmptyDatabase();
  expect(await migrate()).toContain('ran 0001-events');
  expect(await migrate()).toContain('the schema is up to date');
});

test('a process with its environment becomes ready by its probes, and a SIGTERM lets the call in flight end', async () => {
  await makeEmptyDatabase();
  await migrate();
  const { program, args } = commandOf(container);
  const given = environmentOf(container);
  expect(given).toMatchObject({ HOST: '0.0.0.0', PORT: '8080' });
  // The ports of the pod, which are nobody's there, may be somebody's here.
  const ports = { PORT: `${await findFreePort()}`, METRICS_PORT: `${await findFreePort()}` };
  const env = { PATH: process.env.PATH, ...given, ...ports };
  const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = once(child, 'exit');
  ended = async () => void (child.kill('SIGKILL') && (await exited));

  const probe = async ({ httpGet }: Probe) => {
    const port = container.ports.find(({ name }) => name === httpGet.port)?.containerPort;
    expect(`${port}`).toBe(given.PORT);
    const answer = await fetch(`http://127.0.0.1:${ports.PORT}${httpGet.path}`).catch(
      () => undefined,
    );
    return answer?.status;
  };
  await expect.poll(() => probe(container.startupProbe), { timeout: 30_000 }).toBe(200);
  expect(await probe(container.readinessProbe)).toBe(200);
  expect(await probe(container.livenessProbe)).toBe(200);
  const [scraped] = manifestOf(manifests, 'ServiceMonitor harbor').spec.endpoints;
  const metrics = await fetch(`http://127.0.0.1:${ports.METRICS_PORT}${scraped?.path}`);
  expect(await metrics.text()).toContain('harbor_');

  const workspaceId = 'ws_pod';
  const secretKey = await seedDatabase(database.url, workspaceId);
  const client = createEventsClient({ baseUrl: `http://127.0.0.1:${ports.PORT}`, secretKey });
  // In flight when the signal comes: the counter of its workspace is locked.
  const blocker = await database.connect();
  await blocker.query('begin');
  await blocker.query('select from workspaces where id = $1 for update', [workspaceId]);
  const created = client.createEvent({ workspaceId, type: 'tested', payload: {} });
  await expect
    .poll(() =>
      database.query(`select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`),
    )
    .not.toEqual([]);
  child.kill('SIGTERM');
  await expect.poll(() => probe(container.readinessProbe)).not.toBe(200);
  await blocker.query('rollback');
  expect((await created).event?.sequence).toBe(1n);
  expect(await exited).toEqual([0, null]);
}, 60_000);
