import { isTime } from '../../calendar-time.ts';
import { replaceInexactIntegers } from '../../json-integers.ts';
import { InvalidField } from '../errors/request-errors.ts';
import { decodedBy } from './connect-internals.ts';
import { checkEnumWords } from './enum-words.ts';
import { findJson } from './find-json.ts';

/** The default one would put U+FFFD in place of what is not UTF-8. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** How requests in JSON are read: Connect hands their bytes over before they are parsed. */
export const strictJson = {
  ...decodedBy((bytes) => {
    const text = utf8.decode(bytes);
    if (!payload.test(text)) {
      checkTimes(text);
      checkEnumWords(text);
    }
    checkOccurrences(text);
    return replaceInexactIntegers(text);
  }),
  // A field with a typo would be one that was not sent: a key without its restriction, a create without its key.
  ignoreUnknownFields: false,
};

/** What a caller is told about a text that is no time. */
export const timeRule = 'must be a time such as 2026-05-25T12:00:00Z';

const member = /"(created_?[Aa]fter|created_?[Bb]efore|expires_?[Aa]t)"\s*:\s*"([^"\\]*)"/g;

/** A payload, which may hold what it likes under any name; also where its own is written with a letter as an escape. */
const payload = /"payload"|\\u00[67]/;

/**
 * Refuses a request in JSON for a time that its calendar does not have, before the codec takes it for another.
 * Only for requests without a payload.
 *
 * @throws InvalidField
 */
function checkTimes(json: string): void {
  for (const [, name = '', text = ''] of json.matchAll(member)) {
    const field = name.replace(
      /([a-z])([A-Z])/,
      (_, before, after) => `${before}_${after.toLowerCase()}`,
    );
    if (!isTime(text)) throw new InvalidField(field, timeRule);
  }
}

const firstTimeMs = Date.parse('0001-01-01T00:00:00Z');
const lastTimeMs = Date.parse('9999-12-31T23:59:59.999Z');
const occurrence = /"occurred_?[Aa]t"\s*:\s*(?:"([^"\\]*)")?/g;
/** Of more than a request can have, most stand in payloads: to parse it is faster than to look at all of them. */
const batchItemsMax = 500;
/** A letter of such a name, or its underscore, written as an escape. */
const escapedLetter = /\\u00(?:[46]|5[Ff]|7)/;

/**
 * The same for when events are said to have occurred. A payload, and metadata, may hold what they like under
 * that name: where a text that is no time stands is only seen once the request is parsed, which is then done
 * twice.
 *
 * @throws InvalidField
 */
function checkOccurrences(json: string): void {
  if (!isSuspicious(json)) return;
  const request = findJson(json) as Occurring & { readonly requests?: unknown };
  checkOccurrence('', request);
  if (!Array.isArray(request?.requests)) return;
  for (const [index, item] of request.requests.entries()) {
    checkOccurrence(`requests[${index}].`, item);
  }
}

function isSuspicious(json: string): boolean {
  if (escapedLetter.test(json)) return true;
  let looked = 0;
  for (const [, text] of json.matchAll(occurrence)) {
    if (text === undefined || ++looked > batchItemsMax || !isWithinYears(text)) return true;
  }
  return false;
}

/** A time of the years 1 to 9999, also by its offset. */
function isWithinYears(text: string): boolean {
  if (!isTime(text)) return false;
  const ms = Date.parse(text);
  return ms >= firstTimeMs && ms <= lastTimeMs;
}

interface Occurring {
  readonly occurred_at?: unknown;
  readonly occurredAt?: unknown;
}

function checkOccurrence(path: string, request: Occurring | null | undefined): void {
  for (const time of [request?.occurred_at, request?.occurredAt]) {
    // What is no text is the codec's to refuse.
    if (typeof time === 'string' && !isWithinYears(time)) {
      throw new InvalidField(`${path}occurred_at`, `${timeRule}, of the years 1 to 9999`);
    }
  }
}
