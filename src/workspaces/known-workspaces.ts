import { LRUCache } from 'lru-cache';
import { createGatheredReads } from '../gathered-reads.ts';
import type { RateLimits } from '../rate-limits/index.ts';
import { type Workspace, WorkspaceNotFound } from './workspace.ts';

/**
 * How long a workspace that was seen is believed to be there, with the limits that it had. With a statement of at most
 * 1.5 s, one that was deleted is not found in any process within 5 s.
 */
const believedForMs = 3_000;
/** Past this whoever asks lets it be looked up again, and does not wait for the answer. */
const freshForMs = 1_500;
const workspacesMax = 100_000;

/** Which workspaces there are: every create and every read asks. */
export interface KnownWorkspaces {
  /** Passes when the workspace exists, at once where it was seen a moment ago. @throws WorkspaceNotFound */
  assertExists(id: string): Promise<void>;
  /** The same, with what the calls in it together may take. @throws WorkspaceNotFound */
  findRateLimits(id: string): Promise<RateLimits | undefined>;
}

/** What is known of a workspace that is there. */
export type KnownWorkspace = Pick<Workspace, 'rateLimits'>;

interface Sighting {
  readonly atMs: number;
  readonly limits: Promise<RateLimits | undefined>;
  /** It is being looked up again. */
  isRenewed: boolean;
}

/** @param findAll which of the workspaces there are. */
export function createKnownWorkspaces(
  findAll: (ids: readonly string[]) => Promise<ReadonlyMap<string, KnownWorkspace>>,
  elapsedMs: () => number = () => performance.now(),
): KnownWorkspaces {
  const seen = new LRUCache<string, Sighting>({ max: workspacesMax });
  /** Callers that ask at once share a look-up, and go on in the order in which they asked. */
  const lookUps = createGatheredReads({
    async read(ids) {
      const found = await findAll(ids);
      for (const id of ids) seen.delete(id);
      for (const [id, { rateLimits }] of found) {
        const limits = rateLimits === undefined ? unlimited : Promise.resolve(rateLimits);
        seen.set(id, { atMs: elapsedMs(), limits, isRenewed: false });
      }
      return found;
    },
    // As many as the calls in flight have events.
    waitingMax: Number.POSITIVE_INFINITY,
    full: () => new Error('there is always room'),
  });

  async function getFound(id: string): Promise<RateLimits | undefined> {
    // The first answer may be one that was on its way already, and older than the workspace.
    const found = (await lookUps.find(id)) ?? (await lookUps.find(id));
    if (found === undefined) throw new WorkspaceNotFound(id);
    return found.rateLimits;
  }

  function findRateLimits(id: string): Promise<RateLimits | undefined> {
    const sighting = seen.get(id);
    const ageMs = sighting === undefined ? believedForMs : elapsedMs() - sighting.atMs;
    if (sighting === undefined || ageMs >= believedForMs) return getFound(id);
    if (ageMs >= freshForMs && !sighting.isRenewed) {
      sighting.isRenewed = true;
      // Whoever comes when it is believed no longer is told what has failed.
      lookUps.find(id).catch(() => undefined);
    }
    return sighting.limits;
  }

  return {
    async assertExists(id) {
      await findRateLimits(id);
    },
    findRateLimits,
  };
}

/** Made once: every create and every read waits for one. */
const unlimited: Promise<undefined> = Promise.resolve(undefined);
