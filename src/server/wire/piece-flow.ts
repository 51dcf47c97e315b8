import type { Readable } from 'node:stream';

/**
 * Takes the pieces of a body as they come, past the buffer of their stream. Whoever pauses a stream is not sent
 * nothing more: what its peer may still send (1 MiB over HTTP/2) piles up piece by piece, and a piece takes some 330
 * bytes of memory beside its own. Here each is taken at once, also while no more is wanted.
 *
 * Relies on what Node does with any stream, and its implementers are told to do: it calls `push` for each piece, reads
 * nothing more for the stream once that returns false, and reads again when `_read` is called.
 *
 * @param take is given a piece, and says whether more is wanted.
 * @returns asks for more, where less was wanted before.
 */
export function takePieces(source: Readable, take: (piece: Buffer) => boolean): () => void {
  const { push } = source;
  for (let early = source.read(); early !== null; early = source.read()) take(early);
  source.push = (piece: Buffer | null) => (piece === null ? push.call(source, null) : take(piece));
  // So that its end is told.
  source.resume();
  return () => {
    if (!source.destroyed && !source.readableEnded) source._read(0);
  };
}
