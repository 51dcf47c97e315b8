import { LockMode } from '@mikro-orm/core';
import type { Actor } from '../../audit/index.ts';
import { readClock } from '../../database/clock.ts';
import type { Transaction } from '../../database/transaction.ts';
import { idOf, newUuid, uuidOf } from '../../type-id.ts';
import type { Encryption } from '../signing/encryption.ts';
import { WebhookEndpointsFull, WebhookRequestIdReused } from '../webhook-errors.ts';
import { audited, encryptHeaders, toColumns } from './endpoint-columns-store.ts';
import {
  beginEndpointStatement,
  countEndpointsStatement,
  holdEndpointsStatement,
} from './endpoint-statements.ts';
import { recordEndpointChange } from './held-endpoint-store.ts';
import { addSecret } from './secret-store.ts';
import { WebhookEndpointEntity } from './webhook-endpoint.entity.ts';
import { type EndpointSettings, endpointsMax } from './webhook-endpoint.ts';

export interface NewEndpoint extends EndpointSettings {
  readonly workspaceId: string;
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly startAfter: number;
  /** While it catches up; undefined: as it is sent otherwise. */
  readonly catchUpMaxPerSecond: number | undefined;
}

/** What a caller calls its request, which makes nothing twice within 24 hours. */
export interface CreateRequest {
  readonly id: string;
  /** SHA-256 of what it asks for. */
  readonly fingerprint: Buffer;
}

export interface CreateOptions {
  readonly by: Actor;
  readonly request?: CreateRequest | undefined;
}

export interface CreatedEndpoint {
  readonly id: string;
  /** Empty for a replay. */
  readonly secret: string;
  readonly replayed: boolean;
}

export const requestKeptMs = 24 * 60 * 60_000;

/** @throws WebhookEndpointsFull, WebhookRequestIdReused, EncryptionKeyMissing */
export async function createEndpoint(
  tx: Transaction,
  endpoint: NewEndpoint,
  { by, request, encryption }: CreateOptions & { readonly encryption: Encryption },
): Promise<CreatedEndpoint> {
  const { workspaceId, headers, startAfter, catchUpMaxPerSecond, ...settings } = endpoint;
  await tx.run(holdEndpointsStatement, [workspaceId]);
  const now = await readClock(tx);
  const made = request && (await findMade(tx, { by, now }, request));
  if (made !== undefined) return { id: made, secret: '', replayed: true };
  await assertRoom(tx, workspaceId);
  const id = newUuid();
  await tx.em.insert(WebhookEndpointEntity, {
    ...toColumns(settings),
    id,
    workspaceId,
    headerNames: Object.keys(headers),
    headers: encryptHeaders(encryption, id, headers),
    status: 'enabled',
    disabledReason: null,
    statusChangedAt: now,
    apiKeyId: by.apiKeyId === undefined ? null : uuidOf(by.apiKeyId),
    requestId: request?.id ?? null,
    requestFingerprint: request?.fingerprint ?? null,
    createdAt: now,
    updatedAt: now,
    touchedAt: now,
  });
  const values = [id, workspaceId, startAfter, catchUpMaxPerSecond ?? null];
  await tx.run(beginEndpointStatement, values);
  const secret = await addSecret(tx, { row: { id, workspaceId }, now, encryption });
  const changes = { ...audited(settings), header_names: Object.keys(headers) };
  const row = { id, workspaceId };
  await recordEndpointChange(tx, { by, action: 'webhook_endpoint.created', row, changes });
  return { id: idOf('whe', id), secret, replayed: false };
}

async function assertRoom(tx: Transaction, workspaceId: string): Promise<void> {
  const [row] = await tx.run<{ count: number }>(countEndpointsStatement, [workspaceId]);
  if ((row?.count ?? 0) >= endpointsMax) throw new WebhookEndpointsFull(endpointsMax);
}

/** The endpoint that the same request has made. One from more than 24 hours ago gives its request id up. */
async function findMade(
  tx: Transaction,
  { by, now }: { readonly by: Actor; readonly now: Date },
  request: CreateRequest,
): Promise<string | undefined> {
  if (by.apiKeyId === undefined) return undefined;
  const ofRequest = { apiKeyId: uuidOf(by.apiKeyId), requestId: request.id };
  const lockMode = LockMode.PESSIMISTIC_WRITE;
  const row = await tx.em.findOne(WebhookEndpointEntity, ofRequest, { lockMode });
  if (row === null) return undefined;
  if (now.getTime() - row.createdAt.getTime() >= requestKeptMs || row.deletedAt !== null) {
    row.requestId = null;
    await tx.em.flush();
    return undefined;
  }
  const id = idOf('whe', row.id);
  if (Buffer.from(row.requestFingerprint ?? '').equals(request.fingerprint)) return id;
  throw new WebhookRequestIdReused(id);
}
