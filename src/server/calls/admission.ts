import { isFairShare } from '../../fair-share.ts';
import { ampleRoom, type MemoryRoom } from '../../memory-room.ts';
import { CallsInFlightFull } from '../errors/request-errors.ts';
import {
  callsInFlightMax,
  callsWithoutKeyMax,
  clientStreamsWithoutKeyMax,
  clientStreamsWithoutKeyOfConnectionMax,
  streamsWithoutKeyMax,
} from '../limits.ts';
import type { Call, Room } from './call.ts';
import { createCrowd } from './crowd.ts';

/** What the process holds at a moment. */
export interface Load {
  /** Calls of every kind, until their answers are taken. */
  readonly calls: number;
  /** Those among them that were not admitted to a room. */
  readonly callsWithoutKey: number;
  /** Those among them that are streams, with a key or without. */
  readonly streams: number;
  /** Bodies of calls with a place, as allocated. */
  readonly bodyBytes: number;
  /** Bodies of calls that have shown no key yet, as allocated. */
  readonly bodyBytesWithoutKey: number;
}

/** Counts what the process has taken on, and refuses what would be too much. */
export interface Admission {
  readonly load: Load;
  /**
   * Counts a call among those without a key, until it is admitted. Of these the oldest makes room for the
   * newest, so that a crowd without a key keeps out nobody but itself.
   *
   * @param giveWay ends the call, or lets go of its body alone and returns true: it counts as new then.
   */
  begin(call: Call, giveWay: () => boolean): void;
  end(call: Call): void;
  /** Resolves when nothing is being answered. */
  idle(): Promise<void>;
  /**
   * Takes a call on: it has its place from here to its end. One API key alone fills half of a room, and half of
   * what all bodies may hold. Of the streams from clients without a key, the oldest gives its place to the newest.
   *
   * @throws CallsInFlightFull
   */
  admit(call: Call | undefined, room: Room): void;
  /**
   * Counts bytes of a call's body until they are released, or the call ends. Where an API key has no room for them, those of
   * its bodies that are still coming, and whose calls were admitted later, give way, the last one first: bodies that
   * come at once do not starve each other, and a key takes nothing from another one.
   *
   * @throws CallsInFlightFull when all bodies together, or those of the same key, would be too large to hold all the same.
   */
  hold(call: Call, bytes: number): void;
  /**
   * The body of a call that was admitted is waited for, until it has come or the call ends.
   *
   * @param giveWay refuses the body, and releases what is held of it.
   */
  awaitBody(call: Call, giveWay: () => void): void;
  bodyCame(call: Call): void;
  release(call: Call, bytes: number): void;
}

export function createAdmission(
  room: Pick<MemoryRoom, 'bodies' | 'bodiesWithoutKey' | 'streams'> = ampleRoom,
): Admission {
  const places: Record<Exclude<Room, 'client_stream_without_key'>, KeyShares> = {
    unary: createKeyShares(callsInFlightMax),
    stream: createKeyShares(room.streams),
    stream_without_key: createKeyShares(streamsWithoutKeyMax),
  };
  const clientStreams = createCrowd<Call>({
    max: clientStreamsWithoutKeyMax,
    ofConnectionMax: clientStreamsWithoutKeyOfConnectionMax,
  });
  const bodies = createKeyShares(room.bodies);
  /** Of each API key, those that were admitted first to those that were last. */
  const coming = new Map<string, Map<Call, () => void>>();
  let turns = 0;
  let calls = 0;
  let bodyBytesWithoutKey = 0;
  /** The oldest first. */
  const withoutKey = new Map<Call, () => boolean>();
  const waiting: (() => void)[] = [];

  /** Lets the oldest call without a key that holds so much give way to `newest`; false when there is none. */
  function crowdOut(newest: Call, bodyBytesMin: number): boolean {
    for (const [call, giveWay] of withoutKey) {
      if (call === newest || call.bodyBytes < bodyBytesMin) continue;
      withoutKey.delete(call);
      if (giveWay()) withoutKey.set(call, giveWay);
      return true;
    }
    return false;
  }

  /** @throws CallsInFlightFull */
  function takePlace(call: Call, room: Room): void {
    if (room === 'client_stream_without_key') {
      clientStreams.join(call, call.connection, withoutKey.get(call) ?? (() => false));
    } else places[room].take(call.apiKeyId, 1);
  }

  function givePlace(call: Call, room: Room): void {
    if (room === 'client_stream_without_key') clientStreams.leave(call);
    else places[room].give(call.apiKeyId, 1);
  }

  /** Holds bytes of a call with a place; see `hold`. */
  function holdWithPlace(call: Call, bytes: number): void {
    const { apiKeyId } = call;
    if (!bodies.fits(apiKeyId, bytes)) makeRoom(call, bytes);
    bodies.take(apiKeyId, bytes);
  }

  /** Refuses as many bodies as it takes; none where all of them would not be enough. */
  function makeRoom(call: Call, bytes: number): void {
    const { apiKeyId = '', turn = 0 } = call;
    const later = [...(coming.get(apiKeyId) ?? [])].filter(([other]) => (other.turn ?? 0) > turn);
    const laterBytes = later.reduce((sum, [other]) => sum + other.bodyBytes, 0);
    if (!bodies.fits(apiKeyId, bytes, laterBytes)) return;
    for (const [other, giveWay] of later.reverse()) {
      bodyCame(other);
      giveWay();
      if (bodies.fits(apiKeyId, bytes)) return;
    }
  }

  function bodyCame(call: Call): void {
    const { apiKeyId = '' } = call;
    const ofKey = coming.get(apiKeyId);
    if (ofKey?.delete(call) === true && ofKey.size === 0) coming.delete(apiKeyId);
  }

  function release(call: Call, bytes: number): void {
    call.bodyBytes -= bytes;
    if (call.room === undefined) bodyBytesWithoutKey -= bytes;
    else bodies.give(call.apiKeyId, bytes);
  }

  return {
    get load() {
      return {
        calls,
        callsWithoutKey: withoutKey.size,
        streams: places.stream.taken + places.stream_without_key.taken + clientStreams.size,
        bodyBytes: bodies.taken,
        bodyBytesWithoutKey,
      };
    },
    begin(call, giveWay) {
      calls++;
      withoutKey.set(call, giveWay);
      if (withoutKey.size > callsWithoutKeyMax) crowdOut(call, 0);
    },
    end(call) {
      release(call, call.bodyBytes);
      bodyCame(call);
      withoutKey.delete(call);
      calls--;
      if (call.room !== undefined) givePlace(call, call.room);
      if (calls === 0) for (const resolve of waiting.splice(0)) resolve();
    },
    idle() {
      return new Promise((resolve) => {
        if (calls === 0) resolve();
        else waiting.push(resolve);
      });
    },
    admit(call, room) {
      if (call === undefined) return;
      takePlace(call, room);
      try {
        bodies.take(call.apiKeyId, call.bodyBytes);
      } catch (error) {
        givePlace(call, room);
        throw error;
      }
      withoutKey.delete(call);
      bodyBytesWithoutKey -= call.bodyBytes;
      call.room = room;
      call.turn = ++turns;
    },
    hold(call, bytes) {
      if (call.room !== undefined) {
        holdWithPlace(call, bytes);
      } else {
        while (bodyBytesWithoutKey + bytes > room.bodiesWithoutKey) {
          if (!crowdOut(call, 1)) throw new CallsInFlightFull();
        }
        bodyBytesWithoutKey += bytes;
      }
      call.bodyBytes += bytes;
    },
    awaitBody(call, giveWay) {
      // Without a key, bodies are small, and the oldest gives way.
      if (call.room === undefined || call.apiKeyId === undefined) return;
      const ofKey = coming.get(call.apiKeyId) ?? new Map<Call, () => void>();
      coming.set(call.apiKeyId, ofKey.set(call, giveWay));
    },
    bodyCame,
    release,
  };
}

/** A room in places or bytes, of which each API key gets a fair share; calls without a key share all of it. */
interface KeyShares {
  readonly taken: number;
  /** @param without what the key would give back before. */
  fits(apiKeyId: string | undefined, amount: number, without?: number): boolean;
  /** @throws CallsInFlightFull when there is not so much left, or the key has its share. */
  take(apiKeyId: string | undefined, amount: number): void;
  give(apiKeyId: string | undefined, amount: number): void;
}

/** @param room for all keys together. */
function createKeyShares(room: number): KeyShares {
  const held = new Map<string | undefined, number>();
  let taken = 0;
  // Of what nobody's key answers for, nobody has a share.
  const heldBy = (apiKeyId: string | undefined) =>
    apiKeyId === undefined ? 0 : (held.get(apiKeyId) ?? 0);

  function fits(apiKeyId: string | undefined, amount: number, without = 0): boolean {
    const own = heldBy(apiKeyId) - without;
    return isFairShare({ held: own, wanted: amount, taken: taken - without, room });
  }

  return {
    get taken() {
      return taken;
    },
    fits,
    take(apiKeyId, amount) {
      if (!fits(apiKeyId, amount)) throw new CallsInFlightFull();
      if (apiKeyId !== undefined) held.set(apiKeyId, heldBy(apiKeyId) + amount);
      taken += amount;
    },
    give(apiKeyId, amount) {
      taken -= amount;
      if (apiKeyId === undefined) return;
      const own = heldBy(apiKeyId);
      if (own > amount) held.set(apiKeyId, own - amount);
      else held.delete(apiKeyId);
    },
  };
}
