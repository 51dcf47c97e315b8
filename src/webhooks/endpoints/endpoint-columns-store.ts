import type { Encryption } from '../signing/encryption.ts';
import { headersPlace } from '../signing/places.ts';
import type { WebhookEndpointRow } from './webhook-endpoint.entity.ts';
import type { EndpointSettings } from './webhook-endpoint.ts';

/** Settings as the columns of an endpoint's row have them. */
export function toColumns({ typePatterns, subject, maxPerSecond, ...settings }: EndpointSettings) {
  return {
    ...settings,
    typePatterns: [...typePatterns],
    subject: subject ?? null,
    maxPerSecond: maxPerSecond ?? null,
  };
}

export function toSettings(row: WebhookEndpointRow): EndpointSettings {
  const { url, description, typePatterns, maxInFlight, timeoutMs, ordering } = row;
  return {
    url,
    description,
    typePatterns,
    subject: row.subject ?? undefined,
    maxInFlight,
    maxPerSecond: row.maxPerSecond ?? undefined,
    timeoutMs,
    ordering,
  };
}

/** @throws EncryptionKeyMissing */
export function encryptHeaders(
  encryption: Encryption,
  endpointUuid: string,
  headers: Readonly<Record<string, string>>,
): Buffer | null {
  if (Object.keys(headers).length === 0) return null;
  return encryption.encrypt(JSON.stringify(headers), headersPlace(endpointUuid));
}

/** What the audit says of settings: neither subjects, nor what a URL may hold behind its host. */
export function audited(settings: Partial<EndpointSettings>) {
  const { url, description, typePatterns, maxInFlight, maxPerSecond, timeoutMs, ordering } =
    settings;
  return {
    url: url === undefined ? undefined : new URL(url).origin,
    description,
    type_patterns: typePatterns,
    max_in_flight: maxInFlight,
    max_per_second: maxPerSecond,
    timeout_ms: timeoutMs,
    ordering,
  };
}
