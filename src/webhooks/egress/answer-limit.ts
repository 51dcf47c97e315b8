import type { Socket } from 'node:net';

/**
 * Of an answer, with what nobody is shown of it: heads that say "go on", notes on chunks, trailers. HTTP bounds none of them, and
 * whoever sends them without an end would keep the process reading until the time of the request is over.
 */
const answerBytesMax = 256 * 1024;

/** There is more to an answer than is read. */
export class AnswerTooLong extends Error {
  override readonly name = 'AnswerTooLong';

  constructor() {
    super('the answer is too long');
  }
}

/** Ends a connection of HTTP/1.1 without pipelining when more than that has come since a request was last written to it. */
export function limitAnswers(socket: Socket): void {
  let writtenBytes = 0;
  let seenBytes = socket.bytesRead;
  let beganAtBytes = seenBytes;
  socket.on('readable', () => {
    if (socket.bytesWritten !== writtenBytes) {
      writtenBytes = socket.bytesWritten;
      beganAtBytes = seenBytes;
    }
    seenBytes = socket.bytesRead;
    if (seenBytes - beganAtBytes > answerBytesMax) socket.destroy(new AnswerTooLong());
  });
}
