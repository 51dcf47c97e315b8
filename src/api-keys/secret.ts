import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** 32 random bytes in 43 characters, and a CRC-32 in 6, both base62, so that a double click selects all. */
const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const bodyLength = 43;
const checksumLength = 6;
const form = new RegExp(`^hbr_[sr]k_[0-9A-Za-z]{${bodyLength + checksumLength}}$`);

const prefixes = { secret: 'hbr_sk_', restricted: 'hbr_rk_' } as const;

/** A new secret, `hbr_sk_…` or `hbr_rk_…`: 56 characters. */
export function newSecret(kind: 'secret' | 'restricted'): string {
  const number = BigInt(`0x${randomBytes(32).toString('hex')}`);
  const text = prefixes[kind] + toBase62(number, bodyLength);
  return text + checksumOf(text);
}

/** Whether a text looks like a secret and its checksum fits: tells a typo without asking the database. */
export function isWellFormedSecret(secret: string): boolean {
  if (!form.test(secret)) return false;
  const text = secret.slice(0, -checksumLength);
  return checksumOf(text) === secret.slice(-checksumLength);
}

/** What is stored in place of a secret. 256 random bits need no salt and no slow hash. */
export function hashSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

/** First and last characters, for people to tell keys apart: `hbr_sk_…x7Qa`. */
export function hintOf(secret: string): string {
  return `${secret.slice(0, 7)}…${secret.slice(-4)}`;
}

function checksumOf(text: string): string {
  return toBase62(BigInt(crc32(text)), checksumLength);
}

function toBase62(number: bigint, length: number): string {
  let text = '';
  for (let rest = number; rest > 0n; rest /= 62n) text = digits[Number(rest % 62n)] + text;
  return text.padStart(length, '0');
}
