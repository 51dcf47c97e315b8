import { setTimeout as delay } from 'node:timers/promises';
import {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  type Exit,
  startEmbeddedPostgres,
} from './embedded-postgres.ts';

/** What becomes of a server that ends although nobody has stopped it. */
export interface KeptPostgresEvents {
  /** It has ended, and is started again. */
  onEnd(exit: Exit): void;
  /** It answers again. */
  onRestart(): void;
  /** It could not be started again, for the last of several reasons. */
  onLost(error: Error): void;
}

export interface KeptPostgres {
  /** Stays the same when the server is started again. */
  readonly url: string;
  /** Ends the server, as `EmbeddedPostgres.stop` does, and does not start it again. */
  stop(): Promise<void>;
}

/** How long to wait before each start; all of them when it has lived for a minute. */
const restartDelaysMs = [0, 500, 1_000, 2_000, 4_000];
const soundAfterMs = 60_000;

/**
 * Starts PostgreSQL as `startEmbeddedPostgres` does, and again on the same port when it ends, killed by the
 * system for want of memory, say. Nothing that was committed is lost by that.
 *
 * @throws what `startEmbeddedPostgres` throws, for the first start.
 */
export async function keepEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
  events: KeptPostgresEvents,
  delaysMs: readonly number[] = restartDelaysMs,
): Promise<KeptPostgres> {
  const stopping = new AbortController();
  let server = await startEmbeddedPostgres(options);
  const { url } = server;
  const restartOptions = { ...options, port: Number(new URL(url).port), signal: stopping.signal };
  let startsLeft = [...delaysMs];

  /** @throws the failure of the last start when none is left, and when it is stopped. */
  async function startAgain(failure: Error): Promise<EmbeddedPostgres> {
    const delayMs = startsLeft.shift();
    if (delayMs === undefined) throw failure;
    await delay(delayMs, undefined, { signal: stopping.signal });
    return startEmbeddedPostgres(restartOptions).catch((error: Error) => startAgain(error));
  }

  async function keep(): Promise<void> {
    while (!stopping.signal.aborted) {
      const startedAtMs = performance.now();
      const exit = await server.exited;
      if (stopping.signal.aborted) return;
      events.onEnd(exit);
      if (performance.now() - startedAtMs > soundAfterMs) startsLeft = [...delaysMs];
      server = await startAgain(
        new Error(`it ended again and again (${exit.signal ?? exit.code})`),
      );
      events.onRestart();
    }
  }

  const kept = keep().catch((error: Error) => {
    if (!stopping.signal.aborted) events.onLost(error);
  });
  return {
    url,
    async stop() {
      stopping.abort();
      // One that has just been started again is in `server` only once `keep` has ended.
      await server.stop();
      await kept;
      await server.stop();
    },
  };
}
