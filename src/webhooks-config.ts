import { X509Certificate } from 'node:crypto';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import type { DeliverySchedule } from './webhooks/index.ts';

/** What the sending of webhooks is told from outside. */
export interface WebhooksConfig {
  /** 32 bytes each, the newest first, which encrypts; none: no endpoint can be made. */
  readonly encryptionKeys: readonly Buffer[];
  /** Ranges that are connected to though they are not public, and without TLS if the URL says so; as CIDR. */
  readonly allowCidrs: readonly string[];
  /** Ranges that are never connected to. */
  readonly denyCidrs: readonly string[];
  /** Certificates that are trusted beside the usual ones, in PEM. */
  readonly authorities: readonly string[];
  /** Deliveries are kept so long after their end. */
  readonly logDays: number;
  /** Unless given, the usual one; not from the environment. */
  readonly schedule?: DeliverySchedule;
}

const keyBytes = 32;
const certificate = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean),
);

/** Only the usual way to write them: what was cut or mistyped must not become another key. */
const encryptionKeys = list
  .transform((texts) => texts.map((text) => ({ text, key: Buffer.from(text, 'base64') })))
  .refine(
    (keys) =>
      keys.every(({ text, key }) => key.length === keyBytes && key.toString('base64') === text),
    'must be 32 random bytes in base64, as `openssl rand -base64 32` makes them; of several keys, separated by ' +
      'commas, the newest comes first',
  )
  .transform((keys) => keys.map(({ key }) => key));

const cidrs = list.refine(
  (ranges) => ranges.every((range) => ipaddr.isValidCIDR(range)),
  'must be ranges such as 10.0.0.0/8 or fd00::/8, separated by commas',
);

/** Whether there are certificates in a text, and all of them can be read. */
export function holdsCertificates(text: string): boolean {
  const found = text.match(certificate) ?? [];
  try {
    return found.map((pem) => new X509Certificate(pem)).length > 0;
  } catch {
    return false;
  }
}

/** The variables of webhooks, beside WEBHOOK_CA_FILE. */
export const webhooksEnvironment = {
  HARBOR_ENCRYPTION_KEY: encryptionKeys.default([]),
  WEBHOOK_ALLOW_CIDRS: cidrs.default([]),
  WEBHOOK_DENY_CIDRS: cidrs.default([]),
  WEBHOOK_LOG_DAYS: z.coerce
    .number('must be a whole number from 1 to 3650')
    .int()
    .min(1)
    .max(3_650)
    .default(30),
};

export interface WebhooksEnvironment {
  readonly HARBOR_ENCRYPTION_KEY: readonly Buffer[];
  readonly WEBHOOK_ALLOW_CIDRS: readonly string[];
  readonly WEBHOOK_DENY_CIDRS: readonly string[];
  readonly WEBHOOK_LOG_DAYS: number;
  /** What is in the file. */
  readonly WEBHOOK_CA_FILE?: string | undefined;
}

export function toWebhooksConfig(values: WebhooksEnvironment): WebhooksConfig {
  return {
    encryptionKeys: values.HARBOR_ENCRYPTION_KEY,
    allowCidrs: values.WEBHOOK_ALLOW_CIDRS,
    denyCidrs: values.WEBHOOK_DENY_CIDRS,
    authorities: values.WEBHOOK_CA_FILE?.match(certificate) ?? [],
    logDays: values.WEBHOOK_LOG_DAYS,
  };
}
