import { InvalidArgumentError } from 'commander';
import { isTime } from '../calendar-time.ts';
import { newestTime } from '../timestamp.ts';

/** What people call something, as the contract bounds it. */
export function parseName(text: string): string {
  if ([...text].length <= 255 && !/[\p{Cc}\p{Cs}]/u.test(text)) return text;
  throw new InvalidArgumentError('It must be at most 255 characters without control characters.');
}

/** A type, or the beginning of types and a "*". */
export function parseTypePattern(text: string): string {
  const isBlank = /^\p{Z}|\p{Z}$/u.test(text);
  const isForm = /^[^\p{Cc}\p{Cs}*,]*\*?$/u.test(text) && text.length > 0;
  if (isForm && !isBlank && [...text].length <= 255) return text;
  throw new InvalidArgumentError(
    'It must be a type, or the beginning of one and a single "*"; without a comma, and blanks at its ends.',
  );
}

/** A time to come; a day alone is its midnight in UTC. */
export function parseFutureTime(text: string): Date {
  const time = new Date(text);
  const isKnown = isTime(toFullTime(text));
  if (isKnown && time.getTime() > Date.now() && time <= newestTime) return time;
  throw new InvalidArgumentError(
    'It must be a time to come, up to the year 9999, such as 2027-01-01T00:00:00Z.',
  );
}

const unitsMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A time to wait of at most `daysMax`, such as 90s, 30m, 24h or 7d; 0 needs no unit. In milliseconds. */
export function parseDuration(daysMax: number): (text: string) => number {
  return (text) => {
    const [, digits, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
    const ms = text === '0' ? 0 : Number(digits) * unitsMs[unit as keyof typeof unitsMs];
    if (ms <= daysMax * unitsMs.d) return ms;
    throw new InvalidArgumentError(
      `It must be a number with a unit, such as 90s, 30m, 24h or 7d, and at most ${daysMax}d.`,
    );
  };
}

/** A time; a day alone is its midnight in UTC. */
export function parseTime(text: string): Date {
  if (isTime(toFullTime(text))) return new Date(text);
  throw new InvalidArgumentError('It must be a time, such as 2026-05-25 or 2026-05-25T12:00:00Z.');
}

/** A time as it is written, which may be more exact than a Date; a day alone is its midnight in UTC. */
export function parseExactTime(text: string): string {
  const full = toFullTime(text);
  if (isTime(full)) return full;
  throw new InvalidArgumentError(
    'It must be a time, such as 2026-05-25 or 2026-05-25T12:00:00.123456Z.',
  );
}

/** A whole number within these bounds. */
export function parseCountWithin(min: number, max: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (/^\d{1,15}$/.test(text) && count >= min && count <= max) return count;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

function toFullTime(text: string): string {
  return text.includes('T') ? text : `${text}T00:00:00Z`;
}

/** The id of something of these kinds, such as `whe`. */
export function parseId(...prefixes: readonly string[]): (text: string) => string {
  return (text) => {
    if (prefixes.some((prefix) => new RegExp(`^${prefix}_[0-9a-z]{1,40}$`).test(text))) return text;
    throw new InvalidArgumentError(`It must be an id, ${prefixes.join('_… or ')}_….`);
  };
}

/** Pairs of a name and a value, one each time that the option is given. */
export function collectPair(
  given: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(given) ?? [];
  if (name === '') throw new InvalidArgumentError('It must be a name, "=" and a value.');
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`"${name}" is there twice.`);
  return { ...before, [name]: value };
}
