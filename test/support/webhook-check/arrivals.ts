import { createMilestones, type Milestones } from '../log-checker/milestones.ts';

/** What one endpoint was sent. */
export interface Arrivals {
  /** Sequences in the order in which they were answered with success for the first time. */
  readonly accepted: ReadonlySet<number>;
  /** Requests beyond the first that was answered with success. */
  readonly duplicates: number;
  /** The first of them, for whoever looks for the cause. */
  readonly mistakes: readonly string[];
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
  /** The body, as far as it came, was not the event's. */
  mistake(arrival: Arrival, body: Buffer): void;
}

interface Page {
  readonly accepted: Set<number>;
  readonly known: Map<number, string>;
  duplicates: number;
  readonly mistakes: string[];
  mistaken: number;
  requests: number;
}

const mistakesMax = 5;
const textMax = 300;

export function createArrivalBook(): ArrivalBook {
  const progress = createMilestones();
  const pages = new Map<string, Page>();
  const pageOf = (path: string): Page => {
    let page = pages.get(path);
    if (page === undefined) {
      page = {
        accepted: new Set(),
        known: new Map(),
        duplicates: 0,
        mistakes: [],
        mistaken: 0,
        requests: 0,
      };
      pages.set(path, page);
    }
    return page;
  };
  const tell = (page: Page, text: string): void => {
    page.mistaken++;
    if (page.mistakes.length < mistakesMax) page.mistakes.push(text);
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
      else if (known !== identity) tell(page, `${sequence}: ${known}, then ${identity}`);
      if (page.accepted.has(sequence)) page.duplicates++;
    },

    accept({ path, sequence }) {
      const { accepted } = pageOf(path);
      if (accepted.has(sequence)) return;
      accepted.add(sequence);
      progress.reach(progress.count + 1);
    },

    mistake({ path, sequence, eventId }, body) {
      const text = body.subarray(0, textMax).toString();
      tell(pageOf(path), `${sequence}: ${eventId}, but ${body.length} bytes of ${text}`);
    },
  };
}
