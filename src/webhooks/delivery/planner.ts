import type { Event } from '../../events/index.ts';
import { idOf, uuidOf } from '../../type-id.ts';
import type { Courier } from './courier.ts';
import type { LogPart } from './delivery-log.ts';
import type { Directory } from './directory.ts';
import type { LogParts } from './log-parts.ts';
import type { Move } from './move-store.ts';
import type { Occupancy, Planned } from './occupancy.ts';
import type { Pace } from './pace.ts';
import type { Standing } from './standing.ts';
import { type Cursor, goalOf, isFor, laneOf } from './target.ts';

/** A cursor that is to be moved, and the events that it has found. */
export interface Plan {
  readonly cursor: Cursor;
  readonly move: Move;
  /** As many as the move has matches. */
  readonly events: readonly Event[];
}

/** A log, committed up to `end` and kept from `floor` on. */
export interface LogSpan {
  readonly workspaceId: string;
  readonly end: number;
  readonly floor: number;
}

export interface PlannedMoves {
  /** An endpoint is in them once at the most. */
  readonly plans: readonly Plan[];
  /** Workspaces with more to plan. */
  readonly unfinished: readonly string[];
  /** Workspaces with cursors for which this process has no room. */
  readonly crowded: readonly string[];
  /** Workspaces whose log could not be read. */
  readonly failed: readonly string[];
  /** Cursors before the floor of their log. */
  readonly expired: readonly Cursor[];
}

export interface PlannerDeps {
  readonly directory: Directory;
  readonly parts: LogParts;
  readonly courier: Pick<Courier, 'canSend' | 'sizeOf'>;
  readonly occupancy: Occupancy;
  readonly pace: Pace;
  readonly standing: Standing;
  readonly newUuid: () => string;
  readonly onError: (error: unknown) => void;
}

/** Decides which cursors move next, and by what. */
export interface Planner {
  plan(spans: readonly LogSpan[]): Promise<PlannedMoves>;
  /** Plans without matches, for cursors that have gone further than the database knows. */
  planPositions(): Plan[];
}

/** Logs that are read at once, and places of one log that are read in a round: cursors that are level share what is read. */
const readersMax = 4;
const readsPerLogMax = 4;
/** A position without a match is written down at once when it is so far behind. */
const unwrittenMax = 1_000;
/** Bodies that a round holds beside those on their way. */
const plannedBytesMax = 8 * 1024 * 1024;

export function createPlanner(deps: PlannerDeps): Planner {
  const { directory, parts, courier, occupancy, pace, standing } = deps;
  let turns = 0;

  function fail({ workspaceId }: LogSpan, planned: Building, error: unknown): void {
    planned.failed.add(workspaceId);
    deps.onError(error);
  }

  async function planLog({ workspaceId, end, floor }: LogSpan, planned: Building): Promise<void> {
    const behind = [...directory.cursorsOf(workspaceId)]
      .filter((cursor) => cursor.scanned < goalOf(cursor, end) && !standing.isStanding(cursor.id))
      .filter(({ target }) => courier.canSend(target))
      .sort((a, b) => a.turn - b.turn);
    let reads = 0;
    for (const cursor of behind) {
      if (cursor.scanned + 1 < floor) {
        planned.expired.push(cursor);
        continue;
      }
      const known = parts.find(cursor);
      if (planned.endpoints.has(cursor.target.id) || (!known && reads === readsPerLogMax)) {
        planned.unfinished.add(workspaceId);
        continue;
      }
      if (!known) reads++;
      const part = known ?? (await parts.read(cursor, goalOf(cursor, end)));
      // It was moved meanwhile: what was read is not what comes next, and would be sent a second time.
      if (part.after !== cursor.scanned) {
        planned.unfinished.add(workspaceId);
        continue;
      }
      cursor.turn = ++turns;
      // Nothing, where there must be something: its floor has gone on, or the log was set back.
      if (cursor.scanned + 1 < (part.floor ?? floor)) planned.expired.push(cursor);
      else if (part.end <= cursor.scanned) planned.failed.add(workspaceId);
      else planCursor(cursor, { part, end }, planned);
    }
  }

  function planCursor(
    cursor: Cursor,
    { part, end }: { readonly part: LogPart; readonly end: number },
    planned: Building,
  ): void {
    const { workspaceId } = cursor.target;
    const goal = goalOf(cursor, end);
    const depth = pace.depthOf(cursor.target);
    const { events, scanned, isCrowded } = choose(cursor, part, { depth, planned });
    if (isCrowded) planned.crowded.add(workspaceId);
    else if (scanned < goal) planned.unfinished.add(workspaceId);
    const isWritten = scanned - cursor.position >= unwrittenMax || scanned === cursor.endSequence;
    if (events.length > 0 || (isWritten && scanned > cursor.position)) {
      planned.endpoints.add(cursor.target.id);
      planned.plans.push(toPlan(cursor, events, { scanned, isEnd: scanned >= goal, depth }));
    } else cursor.scanned = scanned;
  }

  /** The first of what a cursor finds, as much as a window takes and this process has room for. */
  function choose(
    cursor: Cursor,
    part: LogPart,
    { depth, planned }: { readonly depth: number; readonly planned: Building },
  ) {
    const { workspaceId, id, ordering, maxInFlight } = cursor.target;
    const endpointId = idOf('whe', id);
    const end = Math.min(part.end, cursor.endSequence ?? Number.POSITIVE_INFINITY);
    const room = occupancy.roomFor(workspaceId, id, planned);
    // What waits for others of its subject takes no room at the endpoint.
    const most = ordering === 'subject' ? Number.POSITIVE_INFINITY : maxInFlight * depth;
    const events: Event[] = [];
    for (const event of part.events) {
      if (event.sequence > end) break;
      if (!isFor(cursor, endpointId, event)) continue;
      const isCrowded = events.length >= room || !occupancy.holds(workspaceId, event, planned);
      if (isCrowded || events.length >= most) {
        return { events, scanned: event.sequence - 1, isCrowded };
      }
      events.push(event);
      planned.add(workspaceId, event);
    }
    return { events, scanned: end, isCrowded: false };
  }

  function toPlan(
    cursor: Cursor,
    events: readonly Event[],
    { scanned, isEnd, depth }: Pick<Move, 'scanned' | 'isEnd' | 'depth'>,
  ): Plan {
    const matches = events.map((event) => ({
      sequence: event.sequence,
      eventId: uuidOf(event.id),
      lane: laneOf(cursor.target, event),
    }));
    const move = {
      cursorId: cursor.id,
      workspaceId: cursor.target.workspaceId,
      endpointId: cursor.target.id,
      expected: cursor.position,
      scanned,
      isEnd,
      matches,
      windowId: deps.newUuid(),
      depth,
    };
    return { cursor, move, events };
  }

  return {
    async plan(spans) {
      const planned = new Building(courier.sizeOf);
      const waiting = [...spans];
      const read = async () => {
        for (let span = waiting.shift(); span !== undefined; span = waiting.shift()) {
          if (planned.bytes > plannedBytesMax) planned.unfinished.add(span.workspaceId);
          else await planLog(span, planned).catch((error) => fail(span, planned, error));
        }
      };
      await Promise.all(Array.from({ length: readersMax }, read));
      return planned.done();
    },

    planPositions() {
      const endpoints = new Set<string>();
      const plans: Plan[] = [];
      for (const workspaceId of directory.workspaceIds()) {
        for (const cursor of directory.cursorsOf(workspaceId)) {
          if (cursor.scanned <= cursor.position || endpoints.has(cursor.target.id)) continue;
          endpoints.add(cursor.target.id);
          plans.push(toPlan(cursor, [], { scanned: cursor.scanned, isEnd: false, depth: 1 }));
        }
      }
      return plans;
    },
  };
}

/** What is planned so far, and does not occupy the process yet. */
class Building implements Planned {
  readonly plans: Plan[] = [];
  readonly endpoints = new Set<string>();
  readonly unfinished = new Set<string>();
  readonly crowded = new Set<string>();
  readonly failed = new Set<string>();
  readonly expired: Cursor[] = [];
  requests = 0;
  bytes = 0;
  readonly #events = new Set<Event>();
  readonly #sizeOf: (event: Event) => number;
  readonly #of = new Map<string, { requests: number; bytes: number }>();

  constructor(sizeOf: (event: Event) => number) {
    this.#sizeOf = sizeOf;
  }

  requestsOf(workspaceId: string): number {
    return this.#of.get(workspaceId)?.requests ?? 0;
  }

  bytesOf(workspaceId: string): number {
    return this.#of.get(workspaceId)?.bytes ?? 0;
  }

  has(event: Event): boolean {
    return this.#events.has(event);
  }

  add(workspaceId: string, event: Event): void {
    const own = this.#of.get(workspaceId) ?? { requests: 0, bytes: 0 };
    this.#of.set(workspaceId, own);
    this.requests++;
    own.requests++;
    if (this.#events.has(event)) return;
    this.#events.add(event);
    const bytes = this.#sizeOf(event);
    this.bytes += bytes;
    own.bytes += bytes;
  }

  done(): PlannedMoves {
    const { plans, expired } = this;
    return {
      plans,
      expired,
      unfinished: [...this.unfinished],
      crowded: [...this.crowded],
      failed: [...this.failed],
    };
  }
}
