import { createMilestones, type Milestones } from '../log-checker/milestones.ts';

/** What one endpoint was sent. */
export interface Arrivals {
  /** Sequences in the order in which they were answered with success for the first time. */
  readonly accepted: ReadonlySet<number>;
  /** Requests beyond the first that was answered with success. */
  readonly duplicates: number;
  /** Requests whose event, or whose delivery, was another one than before under the same sequence, or in the body. */
  readonly mistaken: number;
  readonly requests: number;
}

export interface Arrival {
  readonly path: string;
  readonly sequence: number;
  /** `webhook-id`. */
  readonly eventId: string;
  /** `harbor-delivery`. */
  readonly deliveryId: string;
}

/** Everything that a receiver was sent, by path. */
export interface ArrivalBook {
  /** Grows with every delivery that was accepted for the first time. */
  readonly progress: Milestones;
  at(path: string): Arrivals;
  sent(arrival: Arrival): void;
  accept(arrival: Arrival): void;
  /** The body was not the event's. */
  mistake(arrival: Arrival): void;
}

interface Page {
  readonly accepted: Set<number>;
  readonly known: Map<number, string>;
  duplicates: number;
  mistaken: number;
  requests: number;
}

export function createArrivalBook(): ArrivalBook {
  const progress = createMilestones();
  const pages = new Map<string, Page>();
  const pageOf = (path: string): Page => {
    let page = pages.get(path);
    if (page === undefined) {
      page = { accepted: new Set(), known: new Map(), duplicates: 0, mistaken: 0, requests: 0 };
      pages.set(path, page);
    }
    return page;
  };
  return {
    progress,
    at: pageOf,

    sent({ path, sequence, eventId, deliveryId }) {
      const page = pageOf(path);
      const identity = `${eventId} ${deliveryId}`;
      const known = page.known.get(sequence);
      page.requests++;
      if (known === undefined) page.known.set(sequence, identity);
      else if (known !== identity) page.mistaken++;
      if (page.accepted.has(sequence)) page.duplicates++;
    },

    accept({ path, sequence }) {
      const { accepted } = pageOf(path);
      if (accepted.has(sequence)) return;
      accepted.add(sequence);
      progress.reach(progress.count + 1);
    },

    mistake({ path }) {
      pageOf(path).mistaken++;
    },
  };
}
