import type { Event } from '../../events/index.ts';
import type { DeliveryLog, LogPart } from './delivery-log.ts';
import { createRecentEvents } from './recent-events.ts';
import type { Cursor } from './target.ts';

/** Parts of logs that were just read or written, for all cursors that stand within them. */
export interface LogParts {
  /** A log has grown by these; none: by what is not at hand, and what is kept of it may have been erased. */
  committed(workspaceId: string, events: readonly Event[]): void;
  /** The part from where a cursor stands, if it is at hand. */
  find(cursor: Cursor): LogPart | undefined;
  /** Reads on from where a cursor stands, up to a sequence that is known to be committed. */
  read(cursor: Cursor, upTo: number): Promise<LogPart>;
  /** Forgets what is old. */
  sweep(): void;
  /** Forgets everything. */
  forget(): void;
}

/** Parts hold 2 MiB of payloads each at the most. */
const partsMax = 6;
/** What was erased meanwhile is sent no longer than this. */
const keptMs = 1_000;
/** A cursor that is so far behind reads what is for it alone, where that is little. */
const farBehind = 500;

interface KeptPart extends LogPart {
  /** The workspace's id, or the cursor's where it was read for that alone. */
  readonly owner: string;
  readonly readAtMs: number;
}

export function createLogParts(log: DeliveryLog): LogParts {
  let kept: KeptPart[] = [];
  const recent = createRecentEvents(keptMs);
  const reading = new Map<string, Promise<LogPart>>();

  function keep(owner: string, part: LogPart): LogPart {
    kept = [{ owner, readAtMs: performance.now(), ...part }, ...kept.slice(0, partsMax - 1)];
    return part;
  }

  function find({ id, target, scanned, onlyFailed }: Cursor): LogPart | undefined {
    const written = onlyFailed ? undefined : recent.find(target.workspaceId, scanned);
    if (written !== undefined) return written;
    const since = performance.now() - keptMs;
    const part = kept.find(
      ({ owner, after, end, readAtMs }) =>
        (owner === id || (owner === target.workspaceId && !onlyFailed)) &&
        after <= scanned &&
        scanned < end &&
        readAtMs > since,
    );
    if (part === undefined || part.after === scanned) return part;
    const events = part.events.filter(({ sequence }) => sequence > scanned);
    return { ...part, after: scanned, events };
  }

  return {
    committed(workspaceId, events) {
      recent.add(workspaceId, events);
      // An event that was erased, as it may be.
      if (events.length === 0) kept = kept.filter(({ owner }) => owner !== workspaceId);
    },

    find,

    read(cursor, upTo) {
      const isAlone =
        cursor.onlyFailed || (upTo - cursor.scanned > farBehind && log.isNarrow(cursor));
      const owner = isAlone ? cursor.id : cursor.target.workspaceId;
      const key = `${owner} ${cursor.scanned}`;
      const known = reading.get(key);
      if (known !== undefined) return known;
      const found = isAlone
        ? log.readFor(cursor, upTo)
        : log.readAfter(cursor.target.workspaceId, cursor.scanned, upTo);
      const part = found.then((one) => keep(owner, one)).finally(() => reading.delete(key));
      reading.set(key, part);
      return part;
    },

    sweep() {
      recent.sweep();
      const since = performance.now() - keptMs;
      kept = kept.filter(({ readAtMs }) => readAtMs > since);
    },

    forget() {
      recent.forget();
      kept = [];
    },
  };
}
