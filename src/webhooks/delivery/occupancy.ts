import type { Event } from '../../events/index.ts';
import { Counts } from './counts.ts';

/** Requests on their way at once in this process, and what their bodies may hold in memory. */
export interface OccupancyLimits {
  readonly requestsMax: number;
  readonly bytesMax: number;
}

/** To whom a request goes, and with which event. */
export interface Occupant {
  readonly workspaceId: string;
  readonly endpointId: string;
  readonly event: Event;
}

/** What is about to be added: requests and bytes, of all and by workspace. */
export interface Planned {
  readonly requests: number;
  readonly bytes: number;
  requestsOf(workspaceId: string): number;
  bytesOf(workspaceId: string): number;
  has(event: Event): boolean;
}

/**
 * What is on its way in this process. Whoever holds much leaves as much: a workspace may hold as many requests, and bytes, as
 * nobody holds, and an endpoint as many as its workspace may hold besides. So endpoints that answer slowly, or never, fill no
 * process, and everybody else finds room; a few requests an endpoint may have whatever its workspace holds.
 */
export interface Occupancy {
  readonly requests: number;
  /** The body of an event counts once, however many are sent it. */
  readonly bytes: number;
  /** Requests that may begin to an endpoint now, beside those that are planned. */
  roomFor(workspaceId: string, endpointId: string, planned?: Planned): number;
  /** Whether the body of an event has room now, beside what is planned; one that is held already always has. */
  holds(workspaceId: string, event: Event, planned: Planned): boolean;
  add(occupant: Occupant): void;
  remove(occupant: Occupant): void;
}

/** Requests of an endpoint that are not measured by what its workspace holds. */
const requestsAlways = 2;

export const usualLimits: OccupancyLimits = { requestsMax: 4_096, bytesMax: 64 * 1024 * 1024 };

export function createOccupancy(
  sizeOf: (event: Event) => number,
  { requestsMax, bytesMax }: OccupancyLimits = usualLimits,
): Occupancy {
  const requestsOfWorkspaces = new Counts();
  const requestsOfEndpoints = new Counts();
  const bytesOfWorkspaces = new Counts();
  const holders = new Map<Event, number>();
  let requests = 0;
  let bytes = 0;

  function addBytes(workspaceId: string, change: number): void {
    bytes += change;
    bytesOfWorkspaces.add(workspaceId, change);
  }

  return {
    get requests() {
      return requests;
    },
    get bytes() {
      return bytes;
    },

    roomFor(workspaceId, endpointId, planned) {
      const all = requests + (planned?.requests ?? 0);
      const ofWorkspace =
        requestsOfWorkspaces.of(workspaceId) + (planned?.requestsOf(workspaceId) ?? 0);
      const own = requestsOfEndpoints.of(endpointId);
      // Each that is taken takes room from all, from the workspace and from the endpoint.
      const shared = Math.ceil((requestsMax - all - ofWorkspace - own) / 3);
      return Math.max(0, shared, Math.min(requestsAlways - own, requestsMax - all));
    },

    holds(workspaceId, event, planned) {
      const all = bytes + planned.bytes;
      if (all === 0 || holders.has(event) || planned.has(event)) return true;
      const own = bytesOfWorkspaces.of(workspaceId) + planned.bytesOf(workspaceId);
      return all + own + 2 * sizeOf(event) <= bytesMax;
    },

    add({ workspaceId, endpointId, event }) {
      requests++;
      requestsOfWorkspaces.add(workspaceId, 1);
      requestsOfEndpoints.add(endpointId, 1);
      const held = holders.get(event) ?? 0;
      holders.set(event, held + 1);
      if (held === 0) addBytes(workspaceId, sizeOf(event));
    },

    remove({ workspaceId, endpointId, event }) {
      requests--;
      requestsOfWorkspaces.add(workspaceId, -1);
      requestsOfEndpoints.add(endpointId, -1);
      const left = (holders.get(event) ?? 1) - 1;
      if (left > 0) {
        holders.set(event, left);
        return;
      }
      holders.delete(event);
      addBytes(workspaceId, -sizeOf(event));
    },
  };
}
