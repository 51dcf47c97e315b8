import type { Event } from '../../events/index.ts';
import type { LogPart } from './delivery-log.ts';

/** The events that this process has just committed: whoever delivers them need not read them again. */
export interface RecentEvents {
  /** What a commit has added to a log, in order; none, or with a gap: what is kept of that log is forgotten. */
  add(workspaceId: string, events: readonly Event[]): void;
  /** What follows a sequence, if all of it is at hand. */
  find(workspaceId: string, after: number): LogPart | undefined;
  /** Forgets what is old. */
  sweep(): void;
  forget(): void;
}

/** Of all workspaces together; whoever floods takes this from others, who read their events then. */
const bytesMax = 4 * 1024 * 1024;
/** Of a part; a workspace may have more. */
const eventsMax = 500;
/** What a small event takes, and the text of a payload with the values that were parsed of it. */
const bytesOfEvent = 1_000;
const bytesOfCharacter = 8;

/** The events of one commit in one workspace. */
interface Piece {
  readonly workspaceId: string;
  readonly after: number;
  readonly end: number;
  readonly events: readonly Event[];
  readonly bytes: number;
  readonly atMs: number;
}

/** @param keptMs for how long they are believed: in that time an event may be erased elsewhere. */
export function createRecentEvents(keptMs: number): RecentEvents {
  /** The oldest first. */
  const pieces = new Set<Piece>();
  /** Of each workspace without a gap between them. */
  const logs = new Map<string, Piece[]>();
  let bytes = 0;

  function sweep(): void {
    const since = performance.now() - keptMs;
    for (const piece of pieces) {
      if (piece.atMs > since && bytes <= bytesMax) return;
      drop(piece);
    }
  }

  /** The oldest of all is the first of its workspace as well. */
  function drop(piece: Piece): void {
    pieces.delete(piece);
    bytes -= piece.bytes;
    const log = logs.get(piece.workspaceId);
    log?.shift();
    if (log?.length === 0) logs.delete(piece.workspaceId);
  }

  function forgetLog(workspaceId: string): void {
    for (const piece of [...(logs.get(workspaceId) ?? [])]) drop(piece);
  }

  return {
    add(workspaceId, events) {
      const piece = toPiece(workspaceId, events);
      // Other processes write to the log as well.
      if (piece === undefined || logs.get(workspaceId)?.at(-1)?.end !== piece.after) {
        forgetLog(workspaceId);
      }
      if (piece === undefined) return;
      const log = logs.get(workspaceId) ?? [];
      logs.set(workspaceId, log);
      log.push(piece);
      pieces.add(piece);
      bytes += piece.bytes;
      sweep();
    },

    find(workspaceId, after) {
      sweep();
      const log = logs.get(workspaceId);
      if (log === undefined || (log[0] as Piece).after > after) return undefined;
      const events: Event[] = [];
      let end = after;
      for (const piece of log) {
        if (piece.end <= after) continue;
        for (const event of piece.events) if (event.sequence > after) events.push(event);
        end = piece.end;
        if (events.length >= eventsMax) break;
      }
      return end > after ? { after, end, events } : undefined;
    },

    sweep,

    forget() {
      pieces.clear();
      logs.clear();
      bytes = 0;
    },
  };
}

function toPiece(workspaceId: string, events: readonly Event[]): Piece | undefined {
  const [first, last] = [events[0], events.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  if (last.sequence - first.sequence !== events.length - 1) return undefined;
  const bytes = events.reduce((sum, { payloadJson }) => sum + heldBy(payloadJson), 0);
  if (bytes > bytesMax) return undefined;
  const [after, end] = [first.sequence - 1, last.sequence];
  return { workspaceId, after, end, events, bytes, atMs: performance.now() };
}

function heldBy(payloadJson: string): number {
  return bytesOfEvent + bytesOfCharacter * payloadJson.length;
}
