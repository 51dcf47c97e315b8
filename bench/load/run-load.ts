import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { createHistogram } from 'node:perf_hooks';
import type { LoadJob, LoadResult } from './job.ts';
import { createRequests, type Requests } from './requests.ts';

const windowBytes = 1024 * 1024;
/** Calls that are still in flight when a job is over get this long. */
const drainMsMax = 10_000;

/**
 * Keeps `inFlight` calls in flight, evenly over the sessions, and measures them: each answer begins the
 * next call at once.
 *
 * @throws at the first call that does not succeed, by its HTTP status or its grpc-status.
 */
export async function runLoad(job: LoadJob): Promise<LoadResult> {
  const cpuBefore = process.cpuUsage();
  const requests = createRequests(job);
  const sessions = await Promise.all(
    Array.from({ length: job.sessions }, () => openSession(job.port)),
  );
  try {
    const measured = await keepInFlight(job, sessions, requests);
    const cpu = process.cpuUsage(cpuBefore);
    return { ...measured, cpuMs: (cpu.user + cpu.system) / 1000 };
  } finally {
    for (const session of sessions) session.destroy();
  }
}

function keepInFlight(
  job: LoadJob,
  sessions: readonly ClientHttp2Session[],
  requests: Requests,
): Promise<Omit<LoadResult, 'cpuMs'>> {
  const { promise, resolve, reject } = Promise.withResolvers<Omit<LoadResult, 'cpuMs'>>();
  const histogram = createHistogram({ lowest: 1, highest: 60_000_000, figures: 3 });
  const startedAt = performance.now();
  const overAt = startedAt + job.msMax;
  let begun = 0;
  let answered = 0;
  let lastAt = startedAt;

  const late = setTimeout(
    () => reject(new Error('calls were not answered in time')),
    job.msMax + drainMsMax,
  );
  const settle = (session: ClientHttp2Session, begunAt: number) => {
    const now = performance.now();
    answered++;
    if (now < overAt) {
      histogram.record(Math.max(1, Math.round((now - begunAt) * 1000)));
      lastAt = now;
      if (begun < job.callsMax) return begin(session, now);
    }
    if (answered < begun) return;
    clearTimeout(late);
    // A job that ran out of calls was over with its last answer, the others when their time was up.
    const seconds = ((begun < job.callsMax ? overAt : lastAt) - startedAt) / 1000;
    resolve({
      answered,
      perSecond: histogram.count / seconds,
      p50Ms: histogram.percentile(50) / 1000,
      p99Ms: histogram.percentile(99) / 1000,
    });
  };
  const begin = (session: ClientHttp2Session, now: number) => {
    begun++;
    const stream = session.request(requests.headers);
    awaitSuccess(
      stream,
      job.wire === 'grpc',
      () => settle(session, now),
      (error) => {
        if (job.mayBeRefused === true && error instanceof CallRefused) return retry(session);
        clearTimeout(late);
        reject(error);
      },
    );
    stream.end(requests.nextBody());
  };
  const retry = (session: ClientHttp2Session) => {
    if (performance.now() < overAt) {
      begun--;
      begin(session, performance.now());
    } else {
      settle(session, startedAt);
    }
  };
  for (let n = 0; n < Math.min(job.inFlight, job.callsMax); n++) {
    begin(sessions[n % sessions.length] as ClientHttp2Session, performance.now());
  }
  return promise;
}

/** The service has no room for the call at present. */
class CallRefused extends Error {}

/** Calls `onSuccess` when the answer is whole and says that the call succeeded, else `onFailure`. */
export function awaitSuccess(
  stream: ClientHttp2Stream,
  isGrpc: boolean,
  onSuccess: () => void,
  onFailure: (error: Error) => void,
): void {
  let status: unknown;
  let grpcStatus: unknown;
  let body: Buffer | undefined;
  let ended = false;
  stream.on('response', (headers) => {
    status = headers[':status'];
    grpcStatus = headers['grpc-status'];
  });
  if (isGrpc) stream.on('trailers', (trailers) => (grpcStatus = trailers['grpc-status']));
  stream.on('data', (chunk: Buffer) => (body = chunk));
  stream.on('end', () => {
    ended = true;
    if (status === 200 && body !== undefined && (!isGrpc || grpcStatus === '0')) onSuccess();
    else if (status === 429 || grpcStatus === '8')
      onFailure(new CallRefused('the call was refused'));
    else onFailure(new Error(`a call failed: ${describe({ status, grpcStatus, body })}`));
  });
  stream.on('error', onFailure);
  stream.on('close', () => {
    if (!ended) onFailure(new Error(`a call was cut off: ${describe({ status })}`));
  });
}

function describe(answer: { status: unknown; grpcStatus?: unknown; body?: Buffer | undefined }) {
  const text = answer.body?.toString('latin1').slice(0, 300);
  return JSON.stringify({ ...answer, body: text });
}

async function openSession(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`);
  await once(session, 'connect');
  session.setLocalWindowSize(windowBytes);
  // What a session suffers, its calls report.
  session.on('error', () => undefined);
  return session;
}
