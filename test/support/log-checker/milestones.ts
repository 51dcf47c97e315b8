/** A count that only grows, and those who wait for it. */
export interface Milestones {
  readonly count: number;
  /** @param count below an earlier one changes nothing. */
  reach(count: number): void;
  /** Resolves when the count is there, or will never be. */
  reached(count: number): Promise<void>;
  /** Nothing more will come: lets everybody go who waits. */
  close(): void;
}

export function createMilestones(): Milestones {
  let highest = 0;
  let closed = false;
  let waiting: { count: number; resolve: () => void }[] = [];

  function letGo(): void {
    const [ready, others] = [waiting.filter(isReady), waiting.filter((one) => !isReady(one))];
    waiting = others;
    for (const { resolve } of ready) resolve();
  }

  function isReady({ count }: { count: number }): boolean {
    return closed || count <= highest;
  }

  return {
    get count() {
      return highest;
    },
    reach(count) {
      if (count <= highest) return;
      highest = count;
      if (waiting.length > 0) letGo();
    },
    reached: (count) =>
      new Promise((resolve) => {
        waiting.push({ count, resolve });
        letGo();
      }),
    close() {
      closed = true;
      letGo();
    },
  };
}
