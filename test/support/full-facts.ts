/** Of 4 bytes each, the most that a character takes. */
const smile = '😀';

/** The largest subject and metadata that an event can have: some 34 KiB beside its payload. */
export const fullFacts = {
  subject: smile.repeat(255),
  metadata: Object.fromEntries(
    Array.from({ length: 16 }, (_, n) => [`n${n}`.padEnd(64, '_'), smile.repeat(512)]),
  ),
};
