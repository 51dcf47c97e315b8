import type { Place } from './encryption.ts';

/** Where the secret of an endpoint is kept, by its own UUID. */
export function secretPlace(secretId: string): Place {
  return { table: 'webhook_secrets', row: secretId, column: 'ciphertext' };
}

/** Where the headers of an endpoint are kept, by its UUID. */
export function headersPlace(endpointId: string): Place {
  return { table: 'webhook_endpoints', row: endpointId, column: 'headers' };
}
