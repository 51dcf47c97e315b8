/** Reads the newest sequence of each workspace that exists. */
export type ReadLastSequences = (workspaceIds: readonly string[]) => Promise<Map<string, number>>;

/** A query that takes longer holds up the next one no more: 1 s here and 4 s for the query make 5. */
const turnMsMax = 1_000;

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
    next ??= atMost(turnMsMax, running).then(run);
    return next;
  };
}

/** Resolves with a promise that never rejects, or when the time is up. */
async function atMost(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
