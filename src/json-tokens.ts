type CharTest = (code: number) => boolean;

const quote = 0x22;
const backslash = 0x5c;

const codesOf = (chars: string) => new Set(Array.from(chars, (char) => char.charCodeAt(0)));
const spaces = codesOf(' \t\n\r');
const between = codesOf(' \t\n\r,:');
const punctuation = codesOf(' \t\n\r,:[]{}"');

const isSpace: CharTest = (code) => spaces.has(code);
const isBetween: CharTest = (code) => between.has(code);
const isWord: CharTest = (code) => !punctuation.has(code);

/** The first place from `start` on whose character does not pass; never further than the text. */
function skip(text: string, start: number, passes: CharTest): number {
  let place = start;
  while (place < text.length && passes(text.charCodeAt(place))) place++;
  return place;
}

/** The first place from `start` on that is no space. */
export const skipSpace = (text: string, start: number) => skip(text, start, isSpace);

/** The first place from `start` on that is no space, comma or colon. */
export const skipBetween = (text: string, start: number) => skip(text, start, isBetween);

/** The place behind the string, number, true, false or null that begins at `start`; `start` when none does. */
export function endOfScalar(text: string, start: number): number {
  return text.charCodeAt(start) === quote ? endOfString(text, start) : skip(text, start, isWord);
}

/** The place behind the string that begins at `open`; never further than the text. */
export function endOfString(text: string, open: number): number {
  for (let place = open + 1; place < text.length; place++) {
    const code = text.charCodeAt(place);
    if (code === quote) return place + 1;
    if (code === backslash) place++;
  }
  return text.length;
}
