import { ArrayType } from '@mikro-orm/core';

/**
 * `text[]` with each element as it is. MikroORM quotes some elements only: of the others PostgreSQL takes the
 * blanks off the ends, and "null" for no element at all.
 */
export class TextArray extends ArrayType<string> {
  override convertToDatabaseValue(elements: string[] | null): string | null {
    if (elements === null) return null;
    return `{${elements.map((text) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`).join()}}`;
  }
}
