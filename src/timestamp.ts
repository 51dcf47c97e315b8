/** A time that a caller sends: a google.protobuf.Timestamp, in which binary clients can put anything. */
interface Timestamp {
  readonly seconds: bigint;
  readonly nanos: number;
}

/** The first second of the year 1 and the last one of 9999. */
const secondsMin = -62_135_596_800n;
const secondsMax = 253_402_300_799n;
const nanosMax = 999_999_999;

/** The newest time that can be written down, in whole milliseconds. */
export const newestTime = new Date(Number(secondsMax) * 1000 + 999);

/** A time is none that google.protobuf.Timestamp allows. */
export class TimeOutOfRange extends Error {
  override readonly name = 'TimeOutOfRange';
  readonly field: string;
  readonly rule: string;

  constructor(field: string, rule: string) {
    super(`${field} ${rule}`);
    this.field = field;
    this.rule = rule;
  }
}

/**
 * The time as a date, which has whole milliseconds. `timestampMs` of protobuf-es rounds to the nearest one,
 * which may be on the other side of what the caller has said.
 *
 * @param round where a fraction of a millisecond goes.
 * @throws TimeOutOfRange
 */
export function toDate(
  field: string,
  { seconds, nanos }: Timestamp,
  round: (ms: number) => number,
): Date {
  if (seconds < secondsMin || seconds > secondsMax) {
    throw new TimeOutOfRange(field, 'must be in the years 1 to 9999');
  }
  if (nanos < 0 || nanos > nanosMax) {
    throw new TimeOutOfRange(field, 'must have nanos from 0 to 999,999,999');
  }
  return new Date(Number(seconds) * 1000 + round(nanos / 1_000_000));
}
