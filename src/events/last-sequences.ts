/** Reads the newest sequence of each workspace that exists. */
export type ReadLastSequences = (workspaceIds: readonly string[]) => Promise<Map<string, number>>;

/**
 * Gathers look-ups: while one query is in flight, the next one fills. Two thousand subscribers that come
 * back at once after a restart cost two queries and no crowd at the pool. What is answered was read after
 * it was asked for; the answer may hold other workspaces too.
 */
export function gatherLastSequences(read: ReadLastSequences): ReadLastSequences {
  let asked = new Set<string>();
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<Map<string, number>> | undefined;

  function run(): Promise<Map<string, number>> {
    const workspaceIds = [...asked];
    asked = new Set();
    next = undefined;
    const reading = read(workspaceIds);
    running = reading.catch(() => undefined);
    return reading;
  }

  return (workspaceIds) => {
    for (const id of workspaceIds) asked.add(id);
    next ??= running.then(run);
    return next;
  };
}
