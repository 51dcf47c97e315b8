/**
 * What a promise resolves to, for one who may leave before.
 *
 * @param onLeft called when he does.
 * @throws the reason of a signal that aborts first.
 */
export function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  onLeft: () => void = () => undefined,
): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const leave = () => {
      onLeft();
      reject(signal.reason);
    };
    signal.addEventListener('abort', leave, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
