/** What a text says in JSON; undefined for what is none: the codec says what is wrong with it. */
export function findJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
