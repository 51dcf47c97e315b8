import type { Timestamp } from '@bufbuild/protobuf/wkt';

/** A time that may be more exact than a Date, which has whole milliseconds. */
type ExactTime = Pick<Timestamp, 'seconds' | 'nanos'>;

const form = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

/** The time of a text in the form of RFC 3339; undefined for any other text, and for a day that there is not. */
export function findExactTime(text: string): ExactTime | undefined {
  const [, second, fraction = '', zone] = form.exec(text) ?? [];
  if (second === undefined) return undefined;
  const ms = Date.parse(second + zone);
  if (Number.isNaN(ms) || !isOfCalendar(second)) return undefined;
  return { seconds: BigInt(ms / 1000), nanos: Number(fraction.padEnd(9, '0')) };
}

/** Date.parse takes 30 February for 2 March, and 24:00 for the next day. */
function isOfCalendar(second: string): boolean {
  const ms = Date.parse(`${second}Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(second);
}

/** The time in whole milliseconds, rounded down. */
export function exactTimeToDate({ seconds, nanos }: ExactTime): Date {
  return new Date(Number(seconds) * 1000 + Math.floor(nanos / 1_000_000));
}

/** The time in the form of RFC 3339, in UTC, with 0, 3, 6 or 9 digits of a second. */
export function exactTimeToText({ seconds, nanos }: ExactTime): string {
  const second = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const fraction = String(nanos)
    .padStart(9, '0')
    .replace(/(?:000)+$/, '');
  return fraction === '' ? `${second}Z` : `${second}.${fraction}Z`;
}
