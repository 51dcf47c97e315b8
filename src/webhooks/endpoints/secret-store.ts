import type { Transaction } from '../../database/transaction.ts';
import { newUuid } from '../../type-id.ts';
import type { Encryption } from '../signing/encryption.ts';
import { secretPlace } from '../signing/places.ts';
import { newWebhookSecret } from '../signing/sign.ts';
import { WebhookSecretsFull } from '../webhook-errors.ts';
import {
  type ChangeEndpoint,
  type ChangeOptions,
  recordEndpointChange,
} from './held-endpoint-store.ts';
import { WebhookSecretEntity } from './webhook-endpoint.entity.ts';
import { oldSecretsMax } from './webhook-endpoint.ts';

export interface SigningSecret {
  readonly secret: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | undefined;
}

/** The secrets by which requests to endpoints are signed. */
export interface SecretStore {
  /** The secrets that sign now, the newest first. @throws WebhookEndpointNotFound, EncryptionKeyMissing */
  reveal(id: string, options?: ChangeOptions): Promise<SigningSecret[]>;
  /**
   * Makes a new one; those before sign besides until their overlap ends.
   *
   * @throws WebhookEndpointNotFound, WebhookSecretsFull, EncryptionKeyMissing
   */
  rotate(id: string, overlapMs: number, options?: ChangeOptions): Promise<string>;
}

export function createSecretStore(change: ChangeEndpoint, encryption: Encryption): SecretStore {
  return {
    reveal(id, options = {}) {
      return change(id, options, async ({ tx, row, now, by }) => {
        const secrets = await tx.em.find(
          WebhookSecretEntity,
          { endpointId: row.id, $or: [{ expiresAt: null }, { expiresAt: { $gt: now } }] },
          { orderBy: { id: 'desc' } },
        );
        const action = 'webhook_endpoint.secret_revealed';
        await recordEndpointChange(tx, { by, action, row, changes: {} });
        return secrets.map((secret) => ({
          secret: encryption.open(Buffer.from(secret.ciphertext), secretPlace(secret.id)),
          createdAt: secret.createdAt,
          expiresAt: secret.expiresAt ?? undefined,
        }));
      });
    },

    rotate(id, overlapMs, options = {}) {
      return change(id, options, async ({ tx, row, now, by }) => {
        const ofEndpoint = { endpointId: row.id };
        await tx.em.nativeDelete(WebhookSecretEntity, { ...ofEndpoint, expiresAt: { $lte: now } });
        const kept = await tx.em.count(WebhookSecretEntity, ofEndpoint);
        if (overlapMs > 0 && kept > oldSecretsMax) throw new WebhookSecretsFull(oldSecretsMax);
        const current = { ...ofEndpoint, expiresAt: null };
        const expiresAt = new Date(now.getTime() + overlapMs);
        if (overlapMs === 0) await tx.em.nativeDelete(WebhookSecretEntity, current);
        else await tx.em.nativeUpdate(WebhookSecretEntity, current, { expiresAt });
        const secret = await addSecret(tx, { row, now, encryption });
        const action = 'webhook_endpoint.secret_rotated';
        const changes = { old_secret_expires_at: expiresAt };
        await recordEndpointChange(tx, { by, action, row, changes });
        return secret;
      });
    },
  };
}

/** @throws EncryptionKeyMissing */
export async function addSecret(
  tx: Transaction,
  {
    row,
    now,
    encryption,
  }: {
    readonly row: { readonly id: string; readonly workspaceId: string };
    readonly now: Date;
    readonly encryption: Encryption;
  },
): Promise<string> {
  const secret = newWebhookSecret();
  const id = newUuid();
  await tx.em.insert(WebhookSecretEntity, {
    id,
    workspaceId: row.workspaceId,
    endpointId: row.id,
    ciphertext: encryption.encrypt(secret, secretPlace(id)),
    createdAt: now,
    expiresAt: null,
  });
  return secret;
}
