import { hash } from 'node:crypto';

/** The page token is not one that the same list gave. */
export class InvalidPageToken extends Error {
  override readonly name = 'InvalidPageToken';
  readonly rule = 'must be the next_page_token of a page of the same list';

  constructor() {
    super('page_token is not one that this list gave');
  }
}

/** What a list gives when `page_size` is 0. */
const pageSizeDefault = 100;

/** Items a page, from the `page_size` of a request, whose bounds the contract has checked. */
export function pageSizeOf(asked: number): number {
  return asked === 0 ? pageSizeDefault : asked;
}

/**
 * A page token: opaque to callers, the position after which the next page begins, with a checksum over
 * it and the list, so that a token that was altered is refused. It is no secret, and guards nothing.
 */
export function encodePageToken(list: string, position: string): string {
  const checksum = hash('sha256', JSON.stringify([list, position]), 'base64url').slice(0, 22);
  return Buffer.from(JSON.stringify([checksum, position])).toString('base64url');
}

/**
 * The position in a page token, or undefined for the first page, which has none.
 *
 * @param read what the text of a position says, or undefined where it can be none: a caller can make a token of any text.
 * @throws InvalidPageToken for anything that `encodePageToken` did not make of a position in the same list.
 */
export function decodePageToken<Position>(
  list: string,
  token: string,
  read: (position: string) => Position | undefined,
): Position | undefined {
  if (token === '') return undefined;
  const text = findText(list, token);
  const position = text === undefined ? undefined : read(text);
  if (position === undefined) throw new InvalidPageToken();
  return position;
}

/** The text of a position, where the checksum is that of the list. */
function findText(list: string, token: string): string | undefined {
  try {
    const [, position] = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    if (typeof position === 'string' && encodePageToken(list, position) === token) return position;
  } catch {
    // Not a token at all: refused like one of another list.
  }
  return undefined;
}
