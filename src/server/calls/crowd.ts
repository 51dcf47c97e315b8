/**
 * Bounds those who have shown no key and hold a place for as long as they like: the oldest makes room for the newest,
 * so that a crowd keeps nobody out. One connection has few of the places, so that it crowds out itself first.
 */
export interface Crowd<Member> {
  /** @param giveWay ends the member, which has no place any more. */
  join(member: Member, connection: object | undefined, giveWay: () => void): void;
  leave(member: Member): void;
  readonly size: number;
}

export interface CrowdLimits {
  readonly max: number;
  readonly ofConnectionMax: number;
}

export function createCrowd<Member>({ max, ofConnectionMax }: CrowdLimits): Crowd<Member> {
  /** The oldest first. */
  const members = new Map<Member, { connection: object | undefined; giveWay: () => void }>();

  function crowdOut([oldest]: readonly Member[]): void {
    const place = oldest !== undefined && members.get(oldest);
    if (!place) return;
    members.delete(oldest);
    place.giveWay();
  }

  return {
    join(member, connection, giveWay) {
      const all = [...members.keys()];
      const neighbours = all.filter((one) => members.get(one)?.connection === connection);
      if (neighbours.length >= ofConnectionMax) crowdOut(neighbours);
      else if (all.length >= max) crowdOut(all);
      members.set(member, { connection, giveWay });
    },
    leave(member) {
      members.delete(member);
    },
    get size() {
      return members.size;
    },
  };
}
