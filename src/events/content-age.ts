/**
 * How long ago content may have been read when it is given out: an erasure has reached everybody 5 s after it was
 * committed. What takes longer is read again.
 */
export const contentAgeMsMax = 4_000;
