export type { DeliverySchedule } from './delivery/schedule.ts';
export { createEncryption } from './signing/encryption.ts';
export { type Reencryption, reencrypt } from './signing/reencrypt-store.ts';
export { newWebhookSecret, signatureHeaders, toSigningKey } from './signing/sign.ts';
export { webhookRefusals } from './webhook-refusals.ts';
export { createWebhooksFeature, type WebhooksFeatureNeeds } from './webhooks.feature.ts';
