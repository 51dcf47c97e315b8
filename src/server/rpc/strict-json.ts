import { replaceInexactIntegers } from '../../json-integers.ts';
import { checkTimes } from './time.ts';

/** The default one would put U+FFFD in place of what is not UTF-8. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Connect hands it to its JSON codec, whose texts it sees before they are parsed. */
export const strictJson = {
  textDecoder: {
    decode(bytes: Uint8Array<ArrayBuffer>) {
      const text = utf8.decode(bytes);
      checkTimes(text);
      return replaceInexactIntegers(text);
    },
  },
  ignoreUnknownFields: true,
};
