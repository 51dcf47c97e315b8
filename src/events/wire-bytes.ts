import type { Event } from './event.ts';
import { cutByBytes } from './log/cut-by-bytes.ts';
import type { JsonValue } from './payload.ts';

/** What an event takes beside type, subject, metadata and payload: ids, times and their tags. */
const envelopeBytes = 256;

/** About the bytes of an event as a message, never fewer by much. */
export function wireBytesOf({ type, subject, metadata, payload }: Event): number {
  let bytes = envelopeBytes + Buffer.byteLength(type) + valueBytesOf(payload);
  if (subject !== undefined) bytes += Buffer.byteLength(subject);
  // As a map of the same pairs, which takes less than a Struct.
  if (metadata !== undefined) bytes += valueBytesOf(metadata);
  return bytes;
}

/** What a payload's text takes as a message at the most: an array of one-digit numbers, 13 bytes for two of the text. */
const bytesPerCharacterMax = 7;

/** The first events, as many as take `bytesMax` as messages. Payloads are only looked into where it may come to that. */
export function cutByWireBytes(events: readonly Event[], bytesMax: number): readonly Event[] {
  const most = events.reduce((sum, event) => sum + wireBytesMost(event), 0);
  return most <= bytesMax ? events : cutByBytes(events, wireBytesOf, bytesMax);
}

/** No fewer than `wireBytesOf`. */
export function wireBytesMost({ type, subject = '', metadata, payloadJson }: Event): number {
  const ofMetadata = metadata === undefined ? 0 : valueBytesOf(metadata);
  const characters = type.length + subject.length + payloadJson.length;
  return envelopeBytes + ofMetadata + bytesPerCharacterMax * characters;
}

/**
 * About the bytes of a payload as google.protobuf.Struct, never fewer by much: a number takes 11 where
 * JSON may take one, a member 6 more than its name and value.
 */
function valueBytesOf(value: JsonValue): number {
  switch (typeof value) {
    case 'string':
      return 6 + Buffer.byteLength(value);
    case 'number':
      return 11;
    case 'boolean':
      return 4;
    default:
      break;
  }
  if (value === null) return 4;
  let bytes = 8;
  if (Array.isArray(value)) {
    for (const item of value) bytes += 2 + valueBytesOf(item);
    return bytes;
  }
  for (const name of Object.keys(value)) {
    bytes += 6 + Buffer.byteLength(name) + valueBytesOf(value[name] as JsonValue);
  }
  return bytes;
}
