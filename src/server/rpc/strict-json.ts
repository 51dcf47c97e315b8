import { isTime } from '../../calendar-time.ts';
import { replaceInexactIntegers } from '../../json-integers.ts';
import { InvalidField } from '../errors/request-errors.ts';
import { decodedBy } from './connect-internals.ts';

/** The default one would put U+FFFD in place of what is not UTF-8. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** How requests in JSON are read: Connect hands their bytes over before they are parsed. */
export const strictJson = {
  ...decodedBy((bytes) => {
    const text = utf8.decode(bytes);
    checkTimes(text);
    return replaceInexactIntegers(text);
  }),
  ignoreUnknownFields: true,
};

/** What a caller is told about a text that is no time. */
export const timeRule = 'must be a time such as 2026-05-25T12:00:00Z';

const member = /"(created_?[Aa]fter|created_?[Bb]efore|expires_?[Aa]t)"\s*:\s*"([^"\\]*)"/g;

/** A payload, also where its name is written with a letter as an escape. */
const payload = /"payload"|\\u00[67]/;

/**
 * Refuses a request in JSON for a time that its calendar does not have, before the codec takes it for another.
 * Only for requests without a payload, which may hold what it likes under these names.
 *
 * @throws InvalidField
 */
function checkTimes(json: string): void {
  if (payload.test(json)) return;
  for (const [, name = '', text = ''] of json.matchAll(member)) {
    const field = name.replace(
      /([a-z])([A-Z])/,
      (_, before, after) => `${before}_${after.toLowerCase()}`,
    );
    if (!isTime(text)) throw new InvalidField(field, timeRule);
  }
}
