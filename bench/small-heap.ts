import { type ClientHttp2Session, connect } from 'node:http2';
import { readRssBytes } from './process-facts.ts';
import type { Report } from './report.ts';
import type { Plan } from './rounds.ts';
import type { Stage } from './stage.ts';
import { workspaceIds } from './workload.ts';

const heapMegabytes = 256;
const [workspaceId] = workspaceIds;
/** A part ends its calls after this, whatever became of them. */
const lingerMs = 5_000;

/** Calls that hold much for as long as they last. */
interface Part {
  readonly what: string;
  readonly rpc: string;
  readonly body: string;
  readonly inFlight: number;
  /** Nobody takes an answer. */
  readonly untaken?: boolean;
  /** In an envelope, as streams of Connect are. */
  readonly stream?: boolean;
}

const event = (a: string) => `{"workspaceId":"${workspaceId}","type":"heavy","payload":{"a":${a}}}`;
const batch = (count: number, a: string) =>
  `{"requests":[${new Array(count).fill(event(a)).join(',')}]}`;
/** Of all JSON, what becomes most of objects, and what becomes most of text. */
const digits = `[${'1,'.repeat(120_000)}1]`;
const text = JSON.stringify('x'.repeat(250_000));
const list = `{"workspaceId":"${workspaceId}","pageSize":500}`;
const follow = `{"workspaceId":"${workspaceId}","afterSequence":"0"}`;

const parts: readonly Part[] = [
  { what: 'creates of 250 KB of text', rpc: 'CreateEvent', body: event(text), inFlight: 64 },
  { what: 'creates of 120,000 numbers', rpc: 'CreateEvent', body: event(digits), inFlight: 64 },
  { what: 'batches of 7.7 MB', rpc: 'BatchCreateEvents', body: batch(31, text), inFlight: 16 },
  {
    what: 'batches of 3.6 million numbers',
    rpc: 'BatchCreateEvents',
    body: batch(30, digits),
    inFlight: 16,
  },
  { what: 'pages of 2 MB', rpc: 'ListEvents', body: list, inFlight: 200 },
  { what: 'pages that nobody takes', rpc: 'ListEvents', body: list, inFlight: 400, untaken: true },
  { what: 'streams', rpc: 'SubscribeEvents', body: follow, inFlight: 100, stream: true },
  {
    what: 'streams that nobody takes',
    rpc: 'SubscribeEvents',
    body: follow,
    inFlight: 400,
    untaken: true,
    stream: true,
  },
];

/** What holds most, one after another and then all at once, of a service whose heap is small: it may refuse, but must not end. */
export async function benchSmallHeap(stage: Stage, { roundMs }: Plan): Promise<Report> {
  const env = {
    NODE_OPTIONS: `--max-old-space-size=${heapMegabytes} --max-semi-space-size=16`,
    LOG_LEVEL: 'warn',
  };
  const { pid, port } = await stage.freshServer('service', { env });
  const run = (part: Part, ms: number) => runPart(stage, port, part, ms);
  const rows: string[][] = [];
  let peak = 0;
  const note = (what: string, counts: Counts) => {
    const megabytes = (readRssBytes(pid) ?? Number.NaN) / 1024 ** 2;
    peak = Math.max(peak, megabytes);
    rows.push([what, `${counts.answered}`, `${counts.refused}`, megabytes.toFixed(0)]);
  };
  for (const part of parts) note(`${part.inFlight} ${part.what}`, await run(part, roundMs));
  const all = await Promise.all(parts.map((part) => run(part, 3 * roundMs)));
  note('all at once', {
    answered: sum(all.map(({ answered }) => answered)),
    refused: sum(all.map(({ refused }) => refused)),
  });
  const alive = await fetch(`http://127.0.0.1:${port}/healthz`).then(
    ({ ok }) => ok,
    () => false,
  );
  return {
    title: `A heap of ${heapMegabytes} MB (--max-old-space-size) under what holds most`,
    table: [['in flight', 'answered', 'refused or cut off', 'resident, MB'], ...rows],
    aims: [
      {
        what: `the process lives with a heap of ${heapMegabytes} MB; resident at most, MB`,
        measured: alive ? `yes, ${peak.toFixed(0)}` : 'no',
        aim: 'yes',
        met: alive,
      },
    ],
  };
}

interface Counts {
  readonly answered: number;
  readonly refused: number;
}

const sum = (counts: readonly number[]) => counts.reduce((all, one) => all + one, 0);

async function runPart(stage: Stage, port: number, part: Part, ms: number): Promise<Counts> {
  const settings = part.untaken === true ? { initialWindowSize: 0 } : {};
  // By itself Node's client gives up answers while more than 10 MB of its requests wait to be sent.
  const maxSessionMemory = 1_000;
  const sessions = Array.from({ length: Math.ceil(part.inFlight / 100) }, () => {
    const session = connect(`http://127.0.0.1:${port}`, { settings, maxSessionMemory });
    session.on('error', () => undefined);
    return session;
  });
  const counts = { answered: 0, refused: 0 };
  const endsAtMs = performance.now() + ms;
  const caller = async (session: ClientHttp2Session) => {
    while (performance.now() < endsAtMs && !session.destroyed) {
      if (await call(session, part, stage.secretKey)) counts.answered++;
      else counts.refused++;
    }
  };
  const timer = setTimeout(() => {
    for (const session of sessions) session.destroy();
  }, ms + lingerMs);
  const callers = Array.from({ length: part.inFlight }, (_, index) =>
    caller(sessions[index % sessions.length] as ClientHttp2Session),
  );
  await Promise.all(callers);
  clearTimeout(timer);
  for (const session of sessions) session.destroy();
  return counts;
}

/** Resolves when it is over, with whether it was answered as it was asked. */
function call(session: ClientHttp2Session, part: Part, secretKey: string): Promise<boolean> {
  const bytes = Buffer.from(part.body);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return new Promise((resolve) => {
    const request = session.request({
      ':method': 'POST',
      ':path': `/harbor.events.v1.EventsService/${part.rpc}`,
      'content-type': part.stream === true ? 'application/connect+json' : 'application/json',
      authorization: `Bearer ${secretKey}`,
    });
    let status = 0;
    request.on('response', (headers) => {
      status = Number(headers[':status']);
    });
    request.on('error', () => undefined);
    if (part.untaken !== true) request.resume();
    request.on('close', () => resolve(status === 200));
    request.end(part.stream === true ? Buffer.concat([head, bytes]) : bytes);
  });
}
