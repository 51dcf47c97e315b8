import { wires } from '../support/clients.ts';
import { workspaceId } from './services.ts';
import { clientOf, restOf, type Way } from './ways.ts';

/** Calls without a pause, by every protocol. */
export interface Traffic {
  /** Resolves when so many more calls have been answered. */
  more(calls: number): Promise<void>;
  /** Ends it; resolves with how many calls there were. @throws when one has failed. */
  stop(): Promise<number>;
}

const callersPerWire = 4;

const ways = [...wires, 'REST'] as const;
/** By which the log of a process tells calls of one way from those of the others. */
const requestIdOf = (way: (typeof ways)[number]) => `restarted-${ways.indexOf(way)}`;
export const requestIds: readonly string[] = ways.map(requestIdOf);

export function startTraffic(way: Way): Traffic {
  const failures: string[] = [];
  const waiting: { at: number; resolve: () => void }[] = [];
  let answered = 0;
  let isStopped = false;
  const rest = restOf(way, 'REST over HTTP/1.1');

  async function keepCalling(what: string, call: () => Promise<unknown>): Promise<void> {
    while (!isStopped) {
      await call().catch((error: Error) => failures.push(`${what}: ${error.message}`));
      answered++;
      for (const { at, resolve } of waiting) if (answered >= at) resolve();
    }
  }

  async function createByRest(): Promise<void> {
    const body = JSON.stringify({ workspace_id: workspaceId, type: 'restarted', payload: {} });
    const headers = { 'x-request-id': requestIdOf('REST') };
    const answer = await rest.call('/v1/events', { method: 'POST', body, headers });
    const text = await answer.text();
    if (answer.status !== 201) throw new Error(`${answer.status} ${text.slice(0, 200)}`);
  }

  const callers = Array.from({ length: callersPerWire }, () => [
    ...wires.map((wire) => {
      const client = clientOf(way, wire);
      const headers = { 'x-request-id': requestIdOf(wire) };
      // Without an idempotency key: nobody may send it twice.
      const event = { workspaceId, type: 'restarted', payload: {} };
      return keepCalling(wire, () => client.createEvent(event, { headers }));
    }),
    keepCalling('REST', createByRest),
  ]).flat();

  return {
    more: (calls) =>
      new Promise((resolve) => {
        waiting.push({ at: answered + calls, resolve });
      }),
    async stop() {
      isStopped = true;
      await Promise.all(callers);
      await rest[Symbol.asyncDispose]();
      if (failures.length === 0) return answered;
      const some = [...new Set(failures)].slice(0, 8).join('\n');
      throw new Error(`${failures.length} of ${answered} calls failed:\n${some}`);
    },
  };
}
