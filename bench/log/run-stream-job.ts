import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { SubscribeEventsResponseSchema } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createEventsClient } from '../../test/support/clients.ts';
import { newEvent } from '../workload.ts';
import { openSession, subscribe } from './grpc-stream.ts';
import type { Percentiles, StreamJob, StreamResult } from './stream-job.ts';

type Job<Kind extends StreamJob['kind']> = StreamJob & { kind: Kind };

export function runStreamJob(job: StreamJob): Promise<StreamResult> {
  switch (job.kind) {
    case 'catch up':
      return catchUp(job);
    case 'latency':
      return measureLatency(job);
    case 'fan out':
      return fanOut(job);
    case 'stay':
      return stay(job);
  }
}

async function catchUp(job: Job<'catch up'>): Promise<StreamResult> {
  const session = await openSession(job.port);
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const beganAt = performance.now();
  let count = 0;
  const request = { workspaceId: job.workspaceId, afterSequence: 0n };
  const ended = subscribe(session, job.secretKey, request, () => {
    if (++count === job.events) resolve();
  });
  await Promise.race([done, ended]);
  const seconds = (performance.now() - beganAt) / 1000;
  ended.catch(() => undefined);
  session.destroy();
  return { kind: 'catch up', perSecond: count / seconds };
}

/** Calls are sent in groups at this distance. */
const tickMs = 10;

/** Creates and their arrivals are seen by one process, and so by one clock. */
async function measureLatency(job: Job<'latency'>): Promise<StreamResult> {
  const { workspaceId, secretKey } = job;
  const session = await openSession(job.readPort);
  const arrivals = new Map<string, { atMs: number; createdAtMs: number }>();
  const ready = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  const ended = subscribe(session, secretKey, { workspaceId }, (bytes) => {
    const atMs = nowMs();
    const { message } = fromBinary(SubscribeEventsResponseSchema, bytes);
    if (message.case === 'caughtUp') ready.resolve();
    if (message.case !== 'event' || message.value.createdAt === undefined) return;
    arrivals.set(message.value.id, { atMs, createdAtMs: timestampMs(message.value.createdAt) });
    if (arrivals.size === job.events) done.resolve();
  });
  await Promise.race([ready.promise, ended]);
  const answers = await Promise.race([createEvenly(job), ended]);
  await Promise.race([done.promise, ended]);
  ended.catch(() => undefined);
  session.destroy();
  const afterAnswer = createHistogram({ lowest: 1, highest: 60_000_000, figures: 3 });
  const afterCreatedAt = createHistogram({ lowest: 1, highest: 60_000_000, figures: 3 });
  for (const [id, { atMs, createdAtMs }] of arrivals) {
    record(afterAnswer, atMs - (answers.get(id) ?? Number.NaN));
    record(afterCreatedAt, atMs - createdAtMs);
  }
  return {
    kind: 'latency',
    afterAnswer: percentilesOf(afterAnswer),
    afterCreatedAt: percentilesOf(afterCreatedAt),
  };
}

/** Returns when each create was answered, by the id of its event. */
async function createEvenly(job: Job<'latency'>): Promise<Map<string, number>> {
  const { workspaceId, secretKey } = job;
  const client = createEventsClient({ baseUrl: `http://127.0.0.1:${job.writePort}`, secretKey });
  const answers = new Map<string, number>();
  const create = async () => {
    const { event } = await client.createEvent({ ...newEvent, workspaceId });
    answers.set(event?.id ?? '', nowMs());
  };
  const calls: Promise<void>[] = [];
  const beganAt = performance.now();
  while (calls.length < job.events) {
    const due = ((performance.now() - beganAt) * job.perSecond) / 1000;
    while (calls.length < Math.min(due, job.events)) calls.push(create());
    await delay(tickMs);
  }
  await Promise.all(calls);
  return answers;
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** A histogram holds microseconds, from 1 on. */
function record(histogram: RecordableHistogram, ms: number): void {
  histogram.record(Math.max(1, Math.round(ms * 1000)));
}

function percentilesOf(histogram: RecordableHistogram): Percentiles {
  const [p50Ms = 0, p99Ms = 0] = [50, 99].map((share) => histogram.percentile(share) / 1000);
  return { p50Ms, p99Ms };
}

const streamsPerSession = 100;
const batchEvents = 100;

/** Timed from the first create to the last message. */
async function fanOut(job: Job<'fan out'>): Promise<StreamResult> {
  const { port, secretKey, workspaceId, followers, events } = job;
  const count = Math.ceil(followers / streamsPerSession);
  const sessions = await Promise.all(Array.from({ length: count }, () => openSession(port)));
  const allReady = Promise.withResolvers<void>();
  const allDone = Promise.withResolvers<void>();
  let ready = 0;
  let done = 0;
  const ended = Array.from({ length: followers }, (_, index) => {
    let messages = 0;
    const session = sessions[index % count] as (typeof sessions)[number];
    return subscribe(session, secretKey, { workspaceId }, () => {
      messages++;
      // The first says that it is caught up.
      if (messages === 1 && ++ready === followers) allReady.resolve();
      if (messages === 1 + events && ++done === followers) allDone.resolve();
    });
  });
  await Promise.race([allReady.promise, ...ended]);
  const client = createEventsClient({ baseUrl: `http://127.0.0.1:${port}`, secretKey });
  const requests = Array.from({ length: batchEvents }, () => ({ ...newEvent, workspaceId }));
  const beganAt = performance.now();
  for (let sent = 0; sent < events; sent += batchEvents)
    await client.batchCreateEvents({ requests });
  await Promise.race([allDone.promise, ...ended]);
  const seconds = (performance.now() - beganAt) / 1000;
  for (const one of ended) one.catch(() => undefined);
  for (const session of sessions) session.destroy();
  return { kind: 'fan out', perSecond: (events * followers) / seconds };
}

/** Resolves when every stream has said that it is caught up. */
async function stay(job: Job<'stay'>): Promise<StreamResult> {
  const { workspaceIds, secretKey } = job;
  let opened = 0;
  for (let n = 0; n < job.sessions; n++) {
    const session = await openSession(job.port);
    const caughtUp = Array.from({ length: job.streamsPerSession }, () => {
      const workspaceId = workspaceIds[opened++ % workspaceIds.length] as string;
      const first = Promise.withResolvers<void>();
      subscribe(session, secretKey, { workspaceId }, () => first.resolve()).catch(first.reject);
      return first.promise;
    });
    await Promise.all(caughtUp);
  }
  return { kind: 'stay' };
}
