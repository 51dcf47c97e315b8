/** The end of a time. */
export interface Deadline {
  /** Rejects when it has come, unless it was cleared before. */
  readonly passed: Promise<never>;
  clear(): void;
}

/** @param describeState for the error: how far it had come. */
export function startDeadline(ms: number, describeState: () => string): Deadline {
  const { promise, reject } = Promise.withResolvers<never>();
  const expire = () => reject(new Error(`not done after ${ms} ms: ${describeState()}`));
  const timer = setTimeout(expire, ms);
  // Whoever waits for it hears of it; where nobody does any more, it is no news.
  promise.catch(() => undefined);
  return { passed: promise, clear: () => clearTimeout(timer) };
}
