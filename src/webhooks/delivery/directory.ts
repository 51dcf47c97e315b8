import type { DirectoryPage, DirectoryStore } from './directory-store.ts';
import type { Cursor, Target } from './target.ts';

/**
 * The endpoints and cursors of all workspaces, in memory: some kilobytes for each, so that whoever creates in a workspace
 * without endpoints waits for nothing, and one with endpoints costs no query to find them.
 */
export interface Directory {
  /** Reads all of them. */
  load(signal: AbortSignal): Promise<void>;
  /** Reads some of them again, in any workspaces. */
  refresh(endpointIds: readonly string[]): Promise<void>;
  /** Workspaces with cursors that run. */
  workspaceIds(): string[];
  /** Those that run, of endpoints that are enabled. */
  cursorsOf(workspaceId: string): ReadonlySet<Cursor>;
  cursorsTo(endpointId: string): ReadonlySet<Cursor>;
  targetOf(endpointId: string): Target | undefined;
  /** How many endpoints there are of each status. */
  readonly counts: Readonly<Record<Target['status'], number>>;
}

const endpointsPerRead = 500;
const nil = '00000000-0000-0000-0000-000000000000';
const none: ReadonlySet<Cursor> = new Set();

export function createDirectory(store: DirectoryStore): Directory {
  const targets = new Map<string, Target>();
  const byWorkspace = new Map<string, Set<Cursor>>();
  const byEndpoint = new Map<string, Set<Cursor>>();
  const counts = { enabled: 0, paused: 0, disabled: 0 };

  function forget(endpointId: string): void {
    const target = targets.get(endpointId);
    if (target === undefined) return;
    targets.delete(endpointId);
    counts[target.status]--;
    for (const cursor of byEndpoint.get(endpointId) ?? none) {
      remove(byWorkspace, target.workspaceId, cursor);
    }
    byEndpoint.delete(endpointId);
  }

  function keep({ targets: read, cursors: found }: DirectoryPage): void {
    for (const target of read) {
      targets.set(target.id, target);
      counts[target.status]++;
    }
    for (const cursor of found) {
      if (cursor.target.status !== 'enabled') continue;
      add(byEndpoint, cursor.target.id, cursor);
      add(byWorkspace, cursor.target.workspaceId, cursor);
    }
  }

  async function refresh(endpointIds: readonly string[]): Promise<void> {
    for (let from = 0; from < endpointIds.length; from += endpointsPerRead) {
      const ids = endpointIds.slice(from, from + endpointsPerRead);
      const page = await store.read(ids);
      for (const id of ids) forget(id);
      keep(page);
    }
  }

  return {
    async load(signal) {
      for (let afterId = nil; !signal.aborted; ) {
        const page = await store.readAll(afterId, endpointsPerRead);
        for (const { id } of page.targets) forget(id);
        keep(page);
        const last = page.targets.at(-1);
        if (last === undefined || page.targets.length < endpointsPerRead) break;
        afterId = last.id;
      }
    },

    refresh,
    workspaceIds: () => [...byWorkspace.keys()],
    cursorsOf: (workspaceId) => byWorkspace.get(workspaceId) ?? none,
    cursorsTo: (endpointId) => byEndpoint.get(endpointId) ?? none,
    targetOf: (endpointId) => targets.get(endpointId),
    counts,
  };
}

function add<K>(map: Map<K, Set<Cursor>>, key: K, cursor: Cursor): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([cursor]));
  else set.add(cursor);
}

function remove<K>(map: Map<K, Set<Cursor>>, key: K, cursor: Cursor): void {
  const set = map.get(key);
  if (set?.delete(cursor) === true && set.size === 0) map.delete(key);
}
