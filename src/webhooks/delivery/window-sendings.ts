import type { Moved } from './move-store.ts';
import type { Plan } from './planner.ts';
import type { Sending } from './sender.ts';

/** What is to be sent now of the window that a move has made: what it has taken, but for what is parked. */
export function toSendings({ cursor, events, move }: Plan, moved: Moved): Sending[] {
  const { windowId, taken, parkedPlaces, isProbe } = moved;
  return move.matches.slice(0, taken).flatMap((match, place) => {
    const event = events[place];
    if (event === undefined || parkedPlaces?.has(place) === true) return [];
    const before = move.matches[place - 1];
    const delivery = {
      ...match,
      windowId,
      place,
      workspaceId: cursor.target.workspaceId,
      cursorId: cursor.id,
      endpointId: cursor.target.id,
      previousSequence: before?.sequence ?? moved.previousSequence,
      attempt: 1,
      tries: 0,
      isProbe,
    };
    return [{ delivery, event }];
  });
}
