/**
 * Text of others for a terminal: what would move its cursor, or turn the direction of what follows, becomes a
 * replacement character.
 */
export function toTerminalText(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');
}
