export type { DeliverySchedule } from './delivery/schedule.ts';
export { isTypeFor } from './delivery/target.ts';
export { createHttpClient } from './egress/http-client.ts';
export { createEncryption } from './signing/encryption.ts';
export { type Reencryption, reencrypt } from './signing/reencrypt-store.ts';
export { signatureHeaders, toSigningKey } from './signing/sign.ts';
export { webhookRefusals } from './webhook-refusals.ts';
export { createWebhooksFeature, type WebhooksFeatureNeeds } from './webhooks.feature.ts';
