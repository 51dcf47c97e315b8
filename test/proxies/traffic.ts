import { wires } from '../support/clients.ts';
import { workspaceId } from './services.ts';
import { clientOf, restOf, type Way } from './ways.ts';

/** Calls without a pause, by every protocol. */
export interface Traffic {
  /** One of each caller, by which the log of a process tells its calls from those of others, and of other proxies. */
  readonly requestIds: readonly string[];
  /** Resolves when so many more calls have been answered. */
  more(calls: number): Promise<void>;
  /** Ends it; resolves with how many calls there were. @throws when one has failed. */
  stop(): Promise<number>;
}

const callersPerWire = 4;

export function startTraffic(way: Way): Traffic {
  const requestIds: string[] = [];
  const failures: string[] = [];
  const waiting: { at: number; resolve: () => void }[] = [];
  let answered = 0;
  let isStopped = false;
  const rest = restOf(way, 'REST over HTTP/1.1');

  async function keepCalling(
    what: string,
    call: (headers: Record<string, string>) => Promise<unknown>,
  ): Promise<void> {
    const requestId = `restarted-${way.proxy.name}-${requestIds.length}`;
    requestIds.push(requestId);
    while (!isStopped) {
      await call({ 'x-request-id': requestId }).catch((error: Error) =>
        failures.push(`${what}: ${error.message}`),
      );
      answered++;
      for (const { at, resolve } of waiting) if (answered >= at) resolve();
    }
  }

  async function createByRest(headers: Record<string, string>): Promise<void> {
    const body = JSON.stringify({ workspace_id: workspaceId, type: 'restarted', payload: {} });
    const answer = await rest.call('/v1/events', { method: 'POST', body, headers });
    const text = await answer.text();
    if (answer.status !== 201) throw new Error(`${answer.status} ${text.slice(0, 200)}`);
  }

  const callers = Array.from({ length: callersPerWire }, () => [
    ...wires.map((wire) => {
      const client = clientOf(way, wire);
      // Without an idempotency key: nobody may send it twice.
      const event = { workspaceId, type: 'restarted', payload: {} };
      return keepCalling(wire, (headers) => client.createEvent(event, { headers }));
    }),
    keepCalling('REST', createByRest),
  ]).flat();

  return {
    requestIds,
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
