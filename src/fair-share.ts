/** What a holder wants of a room that many share, in whatever the room is measured in. */
export interface Claim {
  readonly held: number;
  readonly wanted: number;
  /** By all holders together. */
  readonly taken: number;
  readonly room: number;
}

/**
 * Whether a holder may have what it wants: no more than is still free. One that wants everything gets half
 * of the room, and n of them get 1/(n + 1) each: as much stays free for whoever comes next. Nobody has to
 * be known beforehand, and nothing is set aside.
 */
export function isFairShare({ held, wanted, taken, room }: Claim): boolean {
  return held + wanted <= room - taken;
}
