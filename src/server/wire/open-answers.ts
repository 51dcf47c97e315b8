import { ampleRoom } from '../../memory-room.ts';
import { smallAnswerBytesMax } from '../limits.ts';

/** An answer on its way to its reader. */
export interface OpenAnswer {
  /** What it keeps in memory until it is taken. */
  readonly bytes: number;
  /** Noted by `OpenAnswers`: the round in which it was last seen to go on. */
  round?: number;
  /** Ends it: its reader takes nothing, or others need the room. */
  readonly cutOff: () => void;
}

/**
 * Watches the answers that were handed to the network and not taken yet. One timer watches all of them:
 * most are taken at once, and a timer each would cost more than their bookkeeping.
 */
export interface OpenAnswers {
  readonly bytes: number;
  /**
   * Watches an answer from here on. When all together are too large to hold, large ones are cut off: those
   * whose readers have taken nothing for longest, or else this one.
   */
  open(answer: OpenAnswer): void;
  /** Its reader took something. */
  goOn(answer: OpenAnswer): void;
  close(answer: OpenAnswer): void;
}

/** A reader that takes nothing has this much time left once the service stops. */
export const hurryMs = 1_000;

/** @param closing aborts when the service stops. */
export function createOpenAnswers(
  stallMsMax: number,
  closing: AbortSignal,
  bytesMax: number = ampleRoom.answers,
): OpenAnswers {
  const roundMs = Math.min(250, stallMsMax / 4);
  const answers = new Set<OpenAnswer>();
  let bytes = 0;
  let round = 0;
  let timer: NodeJS.Timeout | undefined;

  const roundsStuck = (answer: OpenAnswer) => round - (answer.round ?? round);

  function watch(): void {
    round++;
    if (answers.size === 0) {
      clearInterval(timer);
      timer = undefined;
      return;
    }
    const patienceMs = closing.aborted ? Math.min(hurryMs, stallMsMax) : stallMsMax;
    for (const answer of answers) {
      if (roundsStuck(answer) * roundMs > patienceMs) answer.cutOff();
    }
  }

  function makeRoom(newest: OpenAnswer): void {
    const stuck = [...answers]
      .filter((answer) => answer.bytes > smallAnswerBytesMax && roundsStuck(answer) > 0)
      .sort((a, b) => roundsStuck(b) - roundsStuck(a));
    for (const answer of stuck) {
      if (bytes <= bytesMax) return;
      close(answer);
      answer.cutOff();
    }
    if (bytes > bytesMax) newest.cutOff();
  }

  function close(answer: OpenAnswer): void {
    if (answers.delete(answer)) bytes -= answer.bytes;
  }

  return {
    get bytes() {
      return bytes;
    },
    open(answer) {
      answer.round = round;
      answers.add(answer);
      bytes += answer.bytes;
      timer ??= setInterval(watch, roundMs).unref();
      if (bytes > bytesMax && answer.bytes > smallAnswerBytesMax) makeRoom(answer);
    },
    goOn(answer) {
      answer.round = round;
    },
    close,
  };
}
