import { DatabaseUnavailable } from '../database-unavailable.ts';
import type { InTransaction, Transaction } from './transaction.ts';

/**
 * Carries out a change that somebody asked for, in a transaction of its own: see `InTransaction`. Changes of
 * the same asker go one after another, those of all askers few at once, and askers take turns: so whoever
 * asks for thousands holds one connection, and keeps nobody waiting but himself.
 *
 * @param by who asks, such as the id of an API key.
 * @throws DatabaseUnavailable that was not sent, when it has waited for 3 s and PostgreSQL has ended no change for as
 * long; what `InTransaction` throws.
 */
export type Change = <T>(by: string, work: (tx: Transaction) => Promise<T>) => Promise<T>;

/** Of the 6 connections that a process has at the least. */
const changesAtOnce = 2;
/** A crowd waits for as long as it moves on; behind a PostgreSQL that is silent nobody waits for ever. */
const stillMsMax = 3_000;

/** What one asker has asked for; those that wait stand in the order in which they came. */
interface Lane {
  readonly waiting: Set<() => void>;
  isBusy: boolean;
}

export function createChange(inTransaction: InTransaction): Change {
  /** By asker, whose turn is next first; only those who have something that waits or goes on. */
  const lanes = new Map<string, Lane>();
  let running = 0;
  /** When PostgreSQL has last ended a change, whatever became of it. */
  let movedAtMs = 0;

  function laneOf(by: string): Lane {
    const lane = lanes.get(by) ?? { waiting: new Set(), isBusy: false };
    lanes.set(by, lane);
    return lane;
  }

  function isFree(lane: Lane): boolean {
    return running < changesAtOnce && !lane.isBusy;
  }

  function begin(lane: Lane): void {
    running++;
    lane.isBusy = true;
  }

  function end(by: string, lane: Lane): void {
    running--;
    lane.isBusy = false;
    // To the end of those who take turns.
    lanes.delete(by);
    if (lane.waiting.size > 0) lanes.set(by, lane);
    for (const next of lanes.values()) {
      const [resume] = next.waiting;
      if (resume !== undefined && isFree(next)) resume();
    }
  }

  /** Resolves once the lane has begun. */
  function waitIn(by: string, lane: Lane): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        lane.waiting.delete(resume);
      };
      const resume = () => {
        leave();
        begin(lane);
        resolve();
      };
      const giveUp = () => {
        const leftMs = movedAtMs + stillMsMax - performance.now();
        if (leftMs > 0) {
          timer = setTimeout(giveUp, leftMs);
          return;
        }
        leave();
        if (lane.waiting.size === 0 && !lane.isBusy) lanes.delete(by);
        reject(new DatabaseUnavailable('the changes before this one do not end', { sent: false }));
      };
      let timer = setTimeout(giveUp, stillMsMax);
      lane.waiting.add(resume);
    });
  }

  return async (by, work) => {
    const lane = laneOf(by);
    if (lane.waiting.size === 0 && isFree(lane)) begin(lane);
    else await waitIn(by, lane);
    try {
      const result = await inTransaction(work);
      movedAtMs = performance.now();
      return result;
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable)) movedAtMs = performance.now();
      throw error;
    } finally {
      end(by, lane);
    }
  };
}
