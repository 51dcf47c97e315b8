import type { Loop } from '../../feature.ts';
import type { Log } from '../../log.ts';
import type { Heartbeat } from '../heartbeat.ts';
import type { EventPartitions } from './event-partitions.ts';

/** Sees to it that the ids of events have a partition. */
export interface PartitionKeeper {
  readonly loop: Loop;
  /**
   * For an id that had none: asks the database for its time again, and makes the partition of that time where it is
   * missing. Whoever calls at once shares one try. Never rejects.
   */
  renew(): Promise<void>;
}

export interface PartitionKeeperDeps {
  readonly partitions: EventPartitions;
  readonly beat: Heartbeat['beat'];
  readonly log: Log;
  readonly report: (work: string) => (error: unknown) => void;
}

const work = 'keep the partitions of events';
/** A round is one short statement where nothing is to be done, as nearly always. */
const keepEveryMs = 10_000;

export function createPartitionKeeper(deps: PartitionKeeperDeps): PartitionKeeper {
  const { partitions, beat, log, report } = deps;
  let renewing: Promise<void> | undefined;
  let waited = '';

  async function keep(signal?: AbortSignal): Promise<void> {
    const { made, removed, waiting } = await partitions.keep(signal);
    if (made.length > 0) log.info({ partitions: made }, 'made partitions of events');
    if (removed.length > 0) log.info({ partitions: removed }, 'removed partitions of events');
    // Once, and not every ten seconds for as long as somebody dumps the database.
    if (`${waiting}` !== waited && waiting.length > 0) {
      log.info({ partitions: waiting }, 'partitions of events are removed when nobody uses them');
    }
    waited = `${waiting}`;
  }

  async function renew(): Promise<void> {
    log.warn('no partition of events holds the time of a new id; it is made afresh');
    await beat().catch(report(work));
    await keep().catch(report(work));
  }

  return {
    loop: { name: work, intervalMs: keepEveryMs, round: keep },
    renew() {
      renewing ??= renew().finally(() => {
        renewing = undefined;
      });
      return renewing;
    },
  };
}
