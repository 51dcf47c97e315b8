/** The page token is not one that the same list gave. */
export class InvalidPageToken extends Error {
  override readonly name = 'InvalidPageToken';
  readonly rule = 'must be the next_page_token of a page of the same list';

  constructor() {
    super('page_token is not one that this list gave');
  }
}

/** A page token: opaque to callers, the position after which the next page begins. */
export function encodePageToken(list: string, position: string): string {
  return Buffer.from(JSON.stringify([list, position])).toString('base64url');
}

/**
 * The position in a page token, or undefined for the first page, which has none.
 *
 * @throws InvalidPageToken for anything that `encodePageToken` did not make for the same list.
 */
export function decodePageToken(list: string, token: string): string | undefined {
  if (token === '') return undefined;
  try {
    const [ofList, position] = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    if (ofList === list && typeof position === 'string') return position;
  } catch {
    // Not a token at all: refused below like one of another list.
  }
  throw new InvalidPageToken();
}
