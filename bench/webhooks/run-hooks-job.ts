import { randomBytes } from 'node:crypto';
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { callsInFlight, newEvent } from '../workload.ts';
import type { CreateTarget, HooksJob, HooksResult } from './hooks-job.ts';
import { type LeanReceiver, startLeanReceiver } from './lean-receiver.ts';

type Job<Kind extends HooksJob['kind']> = HooksJob & { kind: Kind };

let receiver: LeanReceiver | undefined;
/** Told of each webhook that comes. */
let onWebhook: (head: string) => void = () => undefined;

export async function runHooksJob(job: HooksJob): Promise<HooksResult> {
  switch (job.kind) {
    case 'listen':
      receiver ??= await startLeanReceiver((head) => onWebhook(head));
      return { kind: 'listen', port: receiver.port };
    case 'await':
      await receiver?.reached(job.count);
      return { kind: 'await' };
    case 'create':
      return keepCreating(job);
    case 'latency':
      return measureLatency(job);
  }
}

async function keepCreating({ target, ms }: Job<'create'>): Promise<HooksResult> {
  await using creator = openCreator(target);
  const beganAt = performance.now();
  let answered = 0;
  let inTime = 0;
  const client = async () => {
    while (performance.now() - beganAt < ms) {
      await creator.create();
      answered++;
      if (performance.now() - beganAt < ms) inTime++;
    }
  };
  await Promise.all(Array.from({ length: callsInFlight }, client));
  return { kind: 'create', perSecond: (inTime * 1000) / ms, answered };
}

const sequenceOfWebhook = /\r\nharbor-sequence: *(\d+)/i;
const sequenceOfAnswer = /"sequence":"?(\d+)/;

/** Creates and their webhooks are seen by one process, and so by one clock. */
async function measureLatency(job: Job<'latency'>): Promise<HooksResult> {
  await using creator = openCreator(job.target);
  const answers = new Map<string, number>();
  const arrivals = new Map<string, number>();
  const done = Promise.withResolvers<void>();
  onWebhook = (head) => {
    arrivals.set(sequenceOfWebhook.exec(head)?.[1] ?? '', performance.now());
    if (arrivals.size === job.events) done.resolve();
  };
  const create = async () => {
    const text = await creator.create();
    answers.set(sequenceOfAnswer.exec(text)?.[1] ?? '', performance.now());
  };
  const calls: Promise<void>[] = [];
  for (const beganAt = performance.now(); calls.length < job.events; ) {
    calls.push(create());
    const dueAt = beganAt + (calls.length * 1000) / job.perSecond;
    await delay(Math.max(0, dueAt - performance.now()));
  }
  await Promise.all([...calls, done.promise]);
  onWebhook = () => undefined;
  const histogram = createHistogram({ lowest: 1, highest: 60_000_000, figures: 3 });
  for (const [sequence, atMs] of arrivals) {
    // Some come before the answer does.
    const afterMs = atMs - (answers.get(sequence) ?? Number.NaN);
    histogram.record(Math.max(1, Math.round(afterMs * 1000)));
  }
  const [p50Ms = 0, p99Ms = 0] = [50, 99].map((share) => histogram.percentile(share) / 1000);
  return { kind: 'latency', p50Ms, p99Ms };
}

interface Creator extends AsyncDisposable {
  /** Creates one event under a key of its own, and resolves with the answer. */
  create(): Promise<string>;
}

/** Over HTTP/1.1, a connection for each call in flight. */
function openCreator({ port, secretKey, workspaceId }: CreateTarget): Creator {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: callsInFlight });
  const prefix = `hooks-${randomBytes(6).toString('hex')}-`;
  let keys = 0;
  const headers = {
    authorization: `Bearer ${secretKey}`,
    'content-type': 'application/json',
    'connect-protocol-version': '1',
  };
  return {
    async create() {
      const { statusCode, body } = await pool.request({
        method: 'POST',
        path: '/harbor.events.v1.EventsService/CreateEvent',
        headers,
        body: JSON.stringify({ ...newEvent, workspaceId, idempotencyKey: `${prefix}${keys++}` }),
      });
      const text = await body.text();
      if (statusCode !== 200) throw new Error(`a create failed: ${statusCode} ${text}`);
      return text;
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}
