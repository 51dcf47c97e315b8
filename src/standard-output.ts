import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

/** Standard output, written in the background: nobody ever waits for its reader. */
export interface StandardOutput {
  /** Takes whole lines, in order; drops what would wait as the bytes beyond the bound. */
  write(text: string): void;
  /** Calls `done` when all is written, cannot be written, or 1 s has passed. */
  flush(done: () => void): void;
}

/** What waits for a reader that has stopped; what comes after it is dropped. */
const heldBytesMax = 8 * 1024 * 1024;
/** Lines that come together are written together, up to what a pipe of Linux holds. */
const chunkLengthMax = 64 * 1024;
/** The first line is written at once, those that come this soon after it together: to write costs more than a line. */
const gatherMs = 5;
/** A full pipe is tried again soon; a full disk or a lost terminal may come back, but seldom does. */
const fullRetryMs = 10;
const brokenRetryMs = 1_000;
const flushMsMax = 1_000;

/**
 * A write that fails is tried again from where it stopped, so a line is whole or missing, never torn.
 *
 * Nothing here may block, not even one of Node's threads, which it joins when it exits: a write to a pipe that
 * nobody reads would keep the process for ever. And nothing repeats at once a write that cannot succeed, as the
 * synchronous flush of sonic-boom does, for ever, on a full disk.
 */
export function createStandardOutput(): StandardOutput {
  const target = openWithoutBlocking();
  const waiting: string[] = [];
  let heldBytes = 0;
  let current: Uint8Array = new Uint8Array();
  let isWriting = false;
  let retry: NodeJS.Timeout | undefined;
  let flushed: (() => void)[] = [];

  function nextChunk(): boolean {
    const chunk = current.length > 0 ? undefined : waiting.shift();
    if (chunk !== undefined) current = Buffer.from(chunk);
    return current.length > 0;
  }

  function written(bytes: number): void {
    current = current.subarray(bytes);
    heldBytes -= bytes;
  }

  function proceed(): void {
    if (isWriting || retry !== undefined) return;
    if (!nextChunk()) {
      endFlushes();
      return;
    }
    isWriting = true;
    write(target.fd, current, (error, bytes) => {
      isWriting = false;
      if (error !== null) tryLater(error);
      else written(bytes);
      if (error === null && heldBytes < chunkLengthMax && flushed.length === 0) gather();
      else proceed();
    });
  }

  function gather(): void {
    retry = setTimeout(tryNow, gatherMs).unref();
  }

  function tryLater({ code }: NodeJS.ErrnoException): void {
    const isFull = code === 'EAGAIN';
    if (!isFull) endFlushes();
    retry = setTimeout(tryNow, isFull ? fullRetryMs : brokenRetryMs).unref();
  }

  function tryNow(): void {
    clearTimeout(retry);
    retry = undefined;
    proceed();
  }

  function endFlushes(): void {
    const ended = flushed;
    flushed = [];
    for (const done of ended) done();
  }

  /** What waits when the process ends without a flush; after the first failure, it is lost. */
  function writeAtExit(): void {
    try {
      while (nextChunk()) written(writeSync(target.fd, current));
    } catch {
      // Nobody is left to be told.
    }
  }
  if (!target.mayBlock) process.once('exit', writeAtExit);

  return {
    write(text) {
      const bytes = Buffer.byteLength(text);
      if (heldBytes + bytes > heldBytesMax) return;
      heldBytes += bytes;
      const last = waiting.at(-1);
      if (last === undefined || last.length + text.length > chunkLengthMax) waiting.push(text);
      else waiting[waiting.length - 1] = last + text;
      proceed();
    },
    flush(done) {
      const timer = setTimeout(endFlushes, flushMsMax);
      flushed.push(() => {
        clearTimeout(timer);
        done();
      });
      tryNow();
    },
  };
}

/** A descriptor on which a write returns at once: with an error, when there is no room. */
function openWithoutBlocking(): { readonly fd: number; readonly mayBlock: boolean } {
  const fd = 1;
  const kind = fstatSync(fd);
  if (kind.isFIFO() || kind.isSocket()) {
    // Node makes a pipe or socket non-blocking when it makes its stream, and undoes that when it exits.
    return { fd, mayBlock: !process.stdout.writable };
  }
  if (!isatty(fd)) return { fd, mayBlock: false };
  try {
    // A terminal may be stopped (Ctrl-S). Opened anew, since the shell and npm write to it as well.
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return { fd: openSync(`/dev/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY), mayBlock: false };
  } catch {
    return { fd, mayBlock: true };
  }
}
