import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto';

/** Where a ciphertext belongs: moved to another row or column, it does not decrypt. */
export interface Place {
  readonly table: string;
  readonly row: string;
  readonly column: string;
}

/** The service has no key to encrypt with, or not the one that something was encrypted with. */
export class EncryptionKeyMissing extends Error {
  override readonly name = 'EncryptionKeyMissing';
  /** Of the key that something was encrypted with. */
  readonly keyName: string | undefined;

  constructor(message: string, keyName?: string) {
    super(message);
    this.keyName = keyName;
  }
}

/** Secrets at rest, by AES-256-GCM. */
export interface Encryption {
  /** Whether there is a key to encrypt with. */
  readonly canEncrypt: boolean;
  /** With the newest key. @throws EncryptionKeyMissing */
  encrypt(text: string, place: Place): Buffer;
  /** Undefined where this process lacks the key. @throws where the ciphertext is damaged, or stands where it does not belong. */
  decrypt(ciphertext: Buffer, place: Place): string | undefined;
  /** As `decrypt`. @throws EncryptionKeyMissing where this process lacks the key. */
  open(ciphertext: Buffer, place: Place): string;
  /** Whether a ciphertext is by the newest key. */
  isCurrent(ciphertext: Buffer): boolean;
  /** The name of the key of a ciphertext, 8 hexadecimal digits; it tells nothing of the key. */
  keyNameOf(ciphertext: Buffer): string;
  /** Names of the keys there are, the newest first. */
  readonly keyNames: readonly string[];
}

/** A ciphertext: a version, the name of its key, a nonce, the bytes, and what proves them. */
const version = 1;
const nameBytes = 4;
const nonceBytes = 12;
const tagBytes = 16;
const headBytes = 1 + nameBytes + nonceBytes;
export const keyBytes = 32;

/** @param keys 32 bytes each, the newest first; none: nothing can be encrypted. */
export function createEncryption(keys: readonly Buffer[]): Encryption {
  const byName = new Map(keys.map((key) => [nameOf(key), key]));
  const keyNames = [...byName.keys()];
  const [newest] = keyNames;
  const keyNameOf = (ciphertext: Buffer) => ciphertext.toString('hex', 1, 1 + nameBytes);
  function decrypt(ciphertext: Buffer, place: Place): string | undefined {
    if (ciphertext[0] !== version || ciphertext.length < headBytes + tagBytes) {
      throw new Error(`a ciphertext of ${place.table}.${place.column} is damaged`);
    }
    const key = byName.get(keyNameOf(ciphertext));
    if (key === undefined) return undefined;
    const nonce = ciphertext.subarray(1 + nameBytes, headBytes);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce);
    decipher.setAAD(toAad(place));
    decipher.setAuthTag(ciphertext.subarray(-tagBytes));
    const bytes = decipher.update(ciphertext.subarray(headBytes, -tagBytes));
    return Buffer.concat([bytes, decipher.final()]).toString('utf8');
  }

  return {
    canEncrypt: newest !== undefined,
    keyNames,
    keyNameOf,
    isCurrent: (ciphertext) => keyNameOf(ciphertext) === newest,

    encrypt(text, place) {
      if (newest === undefined) {
        throw new EncryptionKeyMissing(
          'HARBOR_ENCRYPTION_KEY is not set: make one with `openssl rand -base64 32` and start the service with it',
        );
      }
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', byName.get(newest) as Buffer, nonce);
      cipher.setAAD(toAad(place));
      const bytes = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      const head = Buffer.concat([Buffer.of(version), Buffer.from(newest, 'hex'), nonce]);
      return Buffer.concat([head, bytes, cipher.getAuthTag()]);
    },

    decrypt,

    open(ciphertext, place) {
      const text = decrypt(ciphertext, place);
      if (text !== undefined) return text;
      const keyName = keyNameOf(ciphertext);
      throw new EncryptionKeyMissing(
        `the key ${keyName}, by which this was encrypted, is not among those of HARBOR_ENCRYPTION_KEY`,
        keyName,
      );
    },
  };
}

function nameOf(key: Buffer): string {
  return hash('sha256', Buffer.concat([Buffer.from('harbor encryption key '), key])).slice(
    0,
    2 * nameBytes,
  );
}

/** No name holds a line break. */
function toAad({ table, row, column }: Place): Buffer {
  return Buffer.from(`${table}\n${row}\n${column}`);
}
