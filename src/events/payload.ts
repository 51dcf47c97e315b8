export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export type JsonObject = { [key: string]: JsonValue };

/** 256 KB of compact UTF-8 JSON. */
export const payloadBytesMax = 262_144;
/** The payload itself is level 1. Above about 49, binary clients can no longer read what JSON wrote. */
export const payloadLevelsMax = 32;

/**
 * How much of a path an error tells. gRPC carries errors in trailers, and a client that takes 8 KB of
 * them loses its connection over more.
 */
const pathLengthMax = 200;

/** Of an integer in JSON that no double is, the codec makes an infinity, as the text 1e999 is one. */
const numberRule =
  'must be a finite number and, when an integer, one that a double holds exactly; send others as a string';

/** The payload breaks a rule; `path` says where, as in `payload.lines[0].amount`. */
export class PayloadInvalid extends Error {
  override readonly name = 'PayloadInvalid';
  readonly path: string;
  readonly rule: string;

  constructor(path: string, rule: string) {
    const told = path.length > pathLengthMax ? `${path.slice(0, pathLengthMax)}…` : path;
    super(`${told.toWellFormed()} ${rule}`);
    this.path = told.toWellFormed();
    this.rule = rule;
  }
}

/** The payload is a JSON object, but too many bytes of it. */
export class PayloadTooLarge extends Error {
  override readonly name = 'PayloadTooLarge';
  readonly payloadBytes: number;

  constructor(payloadBytes: number) {
    super(`payload is ${payloadBytes} bytes of JSON; at most ${payloadBytesMax} are allowed`);
    this.payloadBytes = payloadBytes;
  }
}

/**
 * Checks a payload against the rules that an annotation cannot express, and writes it as compact JSON.
 *
 * @throws PayloadInvalid for what JSON or PostgreSQL cannot keep: a number that is not finite or not exact,
 * U+0000, a lone surrogate, a missing value, more than 32 levels.
 * @throws PayloadTooLarge above 262,144 bytes.
 */
export function checkPayload(payload: JsonObject): { json: string; bytes: number } {
  checkObject(payload, 'payload', 1);
  const json = JSON.stringify(payload);
  const bytes = Buffer.byteLength(json);
  if (bytes > payloadBytesMax) throw new PayloadTooLarge(bytes);
  return { json, bytes };
}

function checkValue(value: JsonValue | undefined, path: string, level: number): void {
  switch (typeof value) {
    case 'string':
      checkText(value, path);
      break;
    case 'number':
      if (!Number.isFinite(value)) throw new PayloadInvalid(path, numberRule);
      break;
    case 'boolean':
      break;
    case 'object':
      if (value === null) break;
      if (level > payloadLevelsMax) {
        throw new PayloadInvalid('payload', `must be at most ${payloadLevelsMax} levels deep`);
      }
      if (Array.isArray(value)) checkArray(value, path, level);
      else checkObject(value, path, level);
      break;
    default:
      throw new PayloadInvalid(path, 'must have a value');
  }
}

function checkObject(object: JsonObject, path: string, level: number): void {
  for (const key of Object.keys(object)) {
    checkText(key, path, 'a member name ');
    checkValue(object[key], `${path}.${key}`, level + 1);
  }
}

function checkArray(items: JsonValue[], path: string, level: number): void {
  for (let index = 0; index < items.length; index++) {
    checkValue(items[index], `${path}[${index}]`, level + 1);
  }
}

function checkText(text: string, path: string, subject = ''): void {
  if (text.includes('\u0000')) throw new PayloadInvalid(path, `${subject}must not hold U+0000`);
  if (!text.isWellFormed()) {
    throw new PayloadInvalid(path, `${subject}must not hold a lone surrogate`);
  }
}
