/**
 * Settles as the promise does, unless `ms` milliseconds pass first: then it rejects with `late()`; or the
 * signal is aborted first: then it rejects at once with the signal's reason. What the promise does after
 * that is nobody's concern, its rejection included.
 */
export async function within<Value>(
  promise: Promise<Value>,
  limit: { readonly ms: number; readonly late: () => unknown; readonly signal: AbortSignal },
): Promise<Value> {
  const { ms, late, signal } = limit;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let onAbort = () => {};
  const outcome = new Promise<Value>((resolve, reject) => {
    onAbort = () => reject(signal.reason);
    timer = setTimeout(() => reject(late()), ms);
    promise.then(resolve, reject);
  });
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await outcome;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
