/**
 * Shares the event loop among those who have much to do: pieces of work wait for their turn, and when a turn of
 * the loop has given its time, the network is looked at before the next piece. So whoever has a thousand
 * calls in flight does not keep the one call of another from being read, stored and answered.
 *
 * Pieces belong to lanes, such as a connection or a workspace: lanes take turns, the pieces of one go in their order.
 */
export interface LoopTurns {
  /** Undefined when a piece may begin at once; else resolves when it is its turn. */
  take(lane: unknown): Promise<void> | undefined;
  /** Does a piece when it is its turn, never at once. */
  run(lane: unknown, piece: () => void): void;
}

/**
 * What a turn of the loop gives to pieces of work: all that a hundred calls in flight ask for at once, so that
 * nobody waits as long as there is no crowd. In a crowd it gives a handful, although that costs the crowd a
 * quarter of its rate: the network is read and written more often, and less at a time.
 */
const usualTurnMs = 8;
const crowdedTurnMs = 1;
const crowdMin = 128;

export function createLoopTurns(turnMs?: number): LoopTurns {
  /** By lane, the one that has waited for its turn longest first. */
  const waiting = new Map<unknown, Piece[]>();
  let waitingCount = 0;
  /** When this turn of the loop began to be used; undefined before its first piece. */
  let beganAtMs: number | undefined;
  let isRunning = false;

  function hasTime(): boolean {
    if (beganAtMs === undefined) begin();
    const givenMs = turnMs ?? (waitingCount < crowdMin ? usualTurnMs : crowdedTurnMs);
    return performance.now() - (beganAtMs ?? 0) < givenMs;
  }

  function begin(): void {
    beganAtMs = performance.now();
    setImmediate(() => {
      beganAtMs = undefined;
      if (waiting.size === 0) return;
      begin();
      // One piece at least, whatever time there is.
      if (!isRunning) doNext();
    });
  }

  function goOn(): void {
    if (!isRunning && hasTime()) doNext();
  }

  /** One piece after another, each when what the one before has set off is done, as long as there is time. */
  function doNext(): void {
    const [next] = waiting;
    isRunning = next !== undefined;
    if (next === undefined) return;
    const [lane, pieces] = next;
    waiting.delete(lane);
    const piece = pieces.shift();
    waitingCount--;
    if (pieces.length > 0) waiting.set(lane, pieces);
    piece?.();
    afterThis(() => {
      isRunning = false;
      goOn();
    });
  }

  function wait(lane: unknown, piece: Piece): void {
    waitingCount++;
    const pieces = waiting.get(lane);
    if (pieces === undefined) waiting.set(lane, [piece]);
    else pieces.push(piece);
  }

  return {
    take(lane) {
      if (waiting.size === 0 && hasTime()) return undefined;
      return new Promise((resolve) => wait(lane, resolve));
    },
    run(lane, piece) {
      wait(lane, piece);
      if (!isRunning) afterThis(goOn);
    },
  };
}

type Piece = () => void;

/** Calls back when all that follows from what was done so far is done, but for what waits for the network. */
function afterThis(done: () => void): void {
  queueMicrotask(() => process.nextTick(done));
}
