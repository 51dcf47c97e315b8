import type { Event } from '../../events/index.ts';
import type { Cursor } from './target.ts';

/** A part of a log as it was read: the events after a place, all of them or those that a cursor asks for. */
export interface LogPart {
  readonly after: number;
  /** Up to here the log was looked through; `after` itself where there was nothing. */
  readonly end: number;
  /** By their sequence. */
  readonly events: readonly Event[];
  /** The first sequence that was kept when the events were read, where that is known. */
  readonly floor?: number | undefined;
}

/** What the engine reads of the log. */
export interface DeliveryLog {
  /** Consecutive events after a sequence, up to another; fewer than there are where they are many. */
  readAfter(workspaceId: string, after: number, upTo: number): Promise<LogPart>;
  /** What a cursor is sent of the log after where it stands, by the indexes of types and subjects. */
  readFor(cursor: Cursor, upTo: number): Promise<LogPart>;
  /** Whether the cursor takes so little of the log that it is better found than read through. */
  isNarrow(cursor: Cursor): boolean;
  /** Events by id, of those that are kept. */
  readByIds(ids: readonly string[]): Promise<ReadonlyMap<string, Event>>;
}

/** Parts of logs that were just read, for all cursors that stand within them. */
export interface LogParts {
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
const partsMax = 8;
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
  const reading = new Map<string, Promise<LogPart>>();

  function keep(owner: string, part: LogPart): LogPart {
    kept = [{ owner, readAtMs: performance.now(), ...part }, ...kept.slice(0, partsMax - 1)];
    return part;
  }

  function find({ id, target, scanned, onlyFailed }: Cursor): LogPart | undefined {
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
      const since = performance.now() - keptMs;
      kept = kept.filter(({ readAtMs }) => readAtMs > since);
    },

    forget() {
      kept = [];
    },
  };
}
