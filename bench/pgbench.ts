import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { appendStatement } from '../src/events/append/append-statements.ts';
import { formatCount, type Report } from './report.ts';
import { median, type Plan } from './rounds.ts';
import type { Stage } from './stage.ts';
import { callsInFlight, newEvent, workspaceIds } from './workload.ts';

const run = promisify(execFile);
const title = 'The append of one row, by PostgreSQL’s own client';

/** The service's append statement, one row at a time over 64 connections, without any service. */
export async function benchPgbench(stage: Stage, plan: Plan): Promise<Report> {
  const version = await run('pgbench', ['--version']).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
  if (version === undefined) {
    return {
      title,
      table: [
        ['', ''],
        ['pgbench', 'skipped: not on this machine'],
      ],
      aims: [],
    };
  }
  const directory = await mkdtemp(join(tmpdir(), 'harbor-pgbench-'));
  try {
    const script = join(directory, 'append.sql');
    await writeFile(script, pgbenchScript());
    const rounds: { perSecond: number; meanMs: number }[] = [];
    for (let round = 0; round < plan.rounds; round++) {
      rounds.push(await runPgbench(stage.databaseUrl, script, plan.roundMs));
    }
    return {
      title,
      table: [
        ['', 'a second', 'mean ms'],
        [
          version,
          formatCount(median(rounds.map(({ perSecond }) => perSecond))),
          median(rounds.map(({ meanMs }) => meanMs)).toFixed(1),
        ],
      ],
      aims: [],
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export async function runPgbench(databaseUrl: string, script: string, roundMs: number) {
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  const where = ['-h', hostname, '-p', port, '-U', username];
  const bounds = ['-c', `${callsInFlight}`, '-j', '2', '-T', `${Math.ceil(roundMs / 1000)}`];
  const { stdout } = await run(
    'pgbench',
    [...where, ...bounds, '-n', '-M', 'prepared', '-f', script, pathname.slice(1)],
    {
      env: { ...process.env, PGPASSWORD: decodeURIComponent(password) },
      timeout: roundMs + 30_000,
    },
  );
  const perSecond = Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
  const meanMs = Number(/latency average = ([\d.]+)/.exec(stdout)?.[1]);
  if (!(perSecond > 0)) throw new Error(`pgbench said: ${stdout}`);
  return { perSecond, meanMs };
}

/** An element of each array that the append statement takes, by the name it has there. */
function appendElements(): Record<string, string> {
  // A colon before a word is a variable to pgbench, also within a text; before a space it is not.
  const payload = JSON.stringify(newEvent.payload).replaceAll(':', ': ');
  return {
    id: 'uuidv7()',
    workspace_id: `'${workspaceIds[0]?.replace(/\d+$/, '')}' || (:client_id)::text`,
    type: `'${newEvent.type}'`,
    payload: `'${payload}'`,
    payload_bytes: `${payload.length}`,
    key: "'bench-' || (:client_id)::text || '-' || (:key)::text",
    fingerprint: `'\\x${'5a'.repeat(32)}'`,
    turn: '1',
    subject: 'null',
    occurred_at: 'null',
    metadata: 'null',
    api_key_id: 'gen_random_uuid()',
    trace_context: 'null',
  };
}

/**
 * The append statement with arrays of one element for its parameters: a new key every time, and a
 * workspace for each of the 64 clients, so that none waits for another's counter.
 */
export function pgbenchScript(): string {
  const elements = appendElements();
  const names = /as t \(([^)]*)\)/.exec(appendStatement.text)?.[1]?.split(', ') ?? [];
  const statement = appendStatement.text
    .replace(/\$(\d+)::(\w+)\[\]/g, (_, place: string, type: string) => {
      // The first parameter is how long to wait for a lock.
      const name = names[Number(place) - 2] ?? '';
      const element = elements[name];
      if (element === undefined)
        throw new Error(`the append takes "${name}", unknown to the bench`);
      return `array[${element}]::${type}[]`;
    })
    .replace('$1', "'1000'");
  return `\\set key random(1, 9000000000000000)
${statement};
`;
}
