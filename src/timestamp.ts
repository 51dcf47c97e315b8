/** A time that a caller sends: a google.protobuf.Timestamp, in which binary clients can put anything. */
interface Timestamp {
  readonly seconds: bigint;
  readonly nanos: number;
}

/** The first second of the year 1 and the last one of 9999. */
const secondsMin = -62_135_596_800n;
const secondsMax = 253_402_300_799n;
const nanosMax = 999_999_999;

const microsPerSecond = 1_000_000n;

/** The newest time that can be written down, in whole milliseconds. */
export const newestTime = new Date(Number(secondsMax) * 1000 + 999);

/** A time is none that google.protobuf.Timestamp allows, or a period ends before it begins. */
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
export function toDate(field: string, time: Timestamp, round: (ms: number) => number): Date {
  assertInRange(field, time);
  return new Date(Number(time.seconds) * 1000 + round(time.nanos / 1_000_000));
}

/** A period as a caller says it; undefined: no bound. */
interface Period<Time> {
  readonly createdAfter?: Time | undefined;
  readonly createdBefore?: Time | undefined;
}

/**
 * The bounds between which events were created. Those have whole milliseconds: what is after or before a fraction of one
 * begins or ends there. Two bounds that are the same are a period in which nothing is.
 *
 * @throws TimeOutOfRange
 */
export function toPeriod({
  createdAfter,
  createdBefore,
}: Period<Timestamp>): Required<Period<Date>> {
  const period = {
    createdAfter: createdAfter && toDate('created_after', createdAfter, Math.floor),
    createdBefore: createdBefore && toDate('created_before', createdBefore, Math.ceil),
  };
  if (createdAfter && createdBefore && isEarlier(createdBefore, createdAfter)) {
    throw new TimeOutOfRange('created_before', 'must not be earlier than created_after');
  }
  return period;
}

function isEarlier(one: Timestamp, other: Timestamp): boolean {
  if (one.seconds !== other.seconds) return one.seconds < other.seconds;
  return one.nanos < other.nanos;
}

/**
 * The time in microseconds since the beginning of 1970, rounded down: what PostgreSQL keeps, and a date does not.
 *
 * @throws TimeOutOfRange
 */
export function toMicros(field: string, time: Timestamp): bigint {
  assertInRange(field, time);
  return time.seconds * microsPerSecond + BigInt(Math.floor(time.nanos / 1_000));
}

/** The time that `toMicros` made microseconds of. */
export function fromMicros(micros: bigint): Timestamp {
  const rest = micros % microsPerSecond;
  const fraction = rest < 0n ? rest + microsPerSecond : rest;
  return { seconds: (micros - fraction) / microsPerSecond, nanos: Number(fraction) * 1_000 };
}

/** The time of microseconds since the beginning of 1970 in RFC 3339, with 0, 3 or 6 digits of a second, as ProtoJSON has it. */
export function toTimeText(micros: bigint): string {
  const { seconds, nanos } = fromMicros(micros);
  const second = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  if (nanos === 0) return `${second}Z`;
  const fraction = String(nanos / 1_000).padStart(6, '0');
  return `${second}.${fraction.endsWith('000') ? fraction.slice(0, 3) : fraction}Z`;
}

/** The microseconds of which `toTimeText` made a text. */
export function fromTimeText(text: string): bigint {
  const second = BigInt(Date.parse(`${text.slice(0, 19)}Z`)) * 1_000n;
  return second + BigInt(text.slice(20, -1).padEnd(6, '0'));
}

function assertInRange(field: string, { seconds, nanos }: Timestamp): void {
  if (seconds < secondsMin || seconds > secondsMax) {
    throw new TimeOutOfRange(field, 'must be in the years 1 to 9999');
  }
  if (nanos < 0 || nanos > nanosMax) {
    throw new TimeOutOfRange(field, 'must have nanos from 0 to 999,999,999');
  }
}
