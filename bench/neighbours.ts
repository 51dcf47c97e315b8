import { once } from 'node:events';
import { connect } from 'node:http2';
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { createApiKeyStore, issueApiKey } from '../src/api-keys/index.ts';
import { startLoad } from './load/load.ts';
import { createRequests } from './load/requests.ts';
import { awaitSuccess } from './load/run-load.ts';
import type { Report } from './report.ts';
import type { Plan } from './rounds.ts';
import type { Stage } from './stage.ts';
import { workspaceIds } from './workload.ts';

/** What one workspace keeps waiting all the time: calls that are refused are sent again at once. */
const floodSingles = 900;
const floodBatches = 100;
const floodBatchEvents = 50;
/** What another one does meanwhile, with a key of its own. */
const createsPerSecond = 50;
const p99MsMax = 50;
/** The flood is up to its full height. */
const warmUpMs = 2_000;

interface Quiet {
  readonly created: number;
  readonly refused: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Creates of one workspace, alone and beside another one that floods the process. */
export async function benchNeighbours(stage: Stage, plan: Plan): Promise<Report> {
  const { port } = await stage.server('service');
  const secretKey = await issueKey(stage);
  const measureMs = plan.rounds * plan.roundMs;
  const measure = (ms: number) => createQuietly(port, secretKey, ms);
  await measure(warmUpMs);
  const alone = await measure(measureMs);
  const flood = startFlood(stage, port, measureMs + warmUpMs);
  // Awaited below, when the other one has been measured.
  flood.catch(() => undefined);
  await measure(warmUpMs);
  const beside = await measure(measureMs);
  const flooded = await flood;
  return {
    title: `CreateEvent of one workspace, ${createsPerSecond} a second, beside one that floods`,
    table: [
      ['', 'creates', 'refused', 'p50 ms', 'p99 ms'],
      ['alone', ...cells(alone)],
      [`beside ${floodSingles} creates and ${floodBatches} batches in flight`, ...cells(beside)],
    ],
    aims: [
      {
        what: 'a create beside a flood, p99 ms',
        measured: beside.p99Ms.toFixed(1),
        aim: `≤ ${p99MsMax}`,
        met: beside.p99Ms <= p99MsMax,
      },
      {
        what: 'creates beside a flood that were refused',
        measured: `${beside.refused}`,
        aim: '≤ 0',
        met: beside.refused === 0,
      },
    ],
    notes: [
      `The flood was answered ${Math.round(flooded).toLocaleString('en-US')} events a second, ` +
        `${floodBatchEvents} a batch. Times count from when a create was due.`,
    ],
  };
}

function cells({ created, refused, p50Ms, p99Ms }: Quiet): string[] {
  return [`${created}`, `${refused}`, p50Ms.toFixed(1), p99Ms.toFixed(1)];
}

async function issueKey({ database }: Stage): Promise<string> {
  const { secret } = await issueApiKey(createApiKeyStore(database), {
    kind: 'secret',
    displayName: 'bench, beside a flood',
    scopes: [],
    workspaceIds: [],
    typePatterns: [],
    expiresAt: undefined,
  });
  return secret;
}

/** Floods one workspace from two processes; resolves with the events that were answered a second. */
async function startFlood({ secretKey, load }: Stage, port: number, msMax: number) {
  const bounds = { port, secretKey, msMax, callsMax: Number.MAX_SAFE_INTEGER, mayBeRefused: true };
  const calls = {
    ...bounds,
    wire: 'connect json',
    workspaceIds: workspaceIds.slice(0, 1),
  } as const;
  const second = startLoad();
  try {
    const [singles, batches] = await Promise.all([
      load.run({ ...calls, rpc: 'CreateEvent', inFlight: floodSingles, sessions: 9 }),
      second.run({
        ...calls,
        rpc: 'BatchCreateEvents',
        batchEvents: floodBatchEvents,
        inFlight: floodBatches,
        sessions: 1,
      }),
    ]);
    return singles.perSecond + batches.perSecond * floodBatchEvents;
  } finally {
    await second.stop();
  }
}

/** Creates at a steady pace, whether or not the ones before have been answered. */
async function createQuietly(port: number, secretKey: string, ms: number): Promise<Quiet> {
  const requests = createRequests({
    rpc: 'CreateEvent',
    wire: 'connect json',
    workspaceIds: workspaceIds.slice(1, 2),
    secretKey,
  });
  const session = connect(`http://127.0.0.1:${port}`);
  await once(session, 'connect');
  const histogram = createHistogram({ lowest: 1, highest: 60_000_000, figures: 3 });
  let refused = 0;
  const create = (dueAtMs: number) =>
    new Promise<void>((resolve) => {
      const stream = session.request(requests.headers);
      const onSuccess = () => {
        histogram.record(Math.max(1, Math.round((performance.now() - dueAtMs) * 1000)));
        resolve();
      };
      awaitSuccess(stream, false, onSuccess, () => {
        refused++;
        resolve();
      });
      stream.end(requests.nextBody());
    });
  const startedAtMs = performance.now();
  const creates = Math.round((ms / 1000) * createsPerSecond);
  const calls: Promise<void>[] = [];
  for (let n = 0; n < creates; n++) {
    const dueAtMs = startedAtMs + (n * 1000) / createsPerSecond;
    await delay(Math.max(0, dueAtMs - performance.now()));
    calls.push(create(dueAtMs));
  }
  await Promise.all(calls);
  session.destroy();
  return {
    created: histogram.count,
    refused,
    p50Ms: histogram.percentile(50) / 1000,
    p99Ms: histogram.percentile(99) / 1000,
  };
}
