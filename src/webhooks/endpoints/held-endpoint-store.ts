import { LockMode } from '@mikro-orm/core';
import { type Actor, type AuditAction, operator, recordAudit } from '../../audit/index.ts';
import type { Database } from '../../database/database.ts';
import type { Transaction } from '../../database/transaction.ts';
import { findUuid, idOf } from '../../type-id.ts';
import { WebhookEndpointNotFound } from '../webhook-errors.ts';
import { touchStatement } from './endpoint-statements.ts';
import type { OnTouched } from './on-touched.ts';
import { WebhookEndpointEntity, type WebhookEndpointRow } from './webhook-endpoint.entity.ts';

/** Who makes a change, and whether the endpoint exists for them. */
export interface ChangeOptions {
  /** The operator, unless given. */
  readonly by?: Actor;
  /** Is asked with the row held, before anything changes. @throws where the endpoint does not exist for whoever asks. */
  readonly check?: (endpoint: {
    readonly workspaceId: string;
    readonly typePatterns: readonly string[];
  }) => void;
}

/** An endpoint whose row is held until the transaction ends; what is set in it is written. */
export interface HeldEndpoint {
  readonly tx: Transaction;
  readonly row: WebhookEndpointRow;
  readonly now: Date;
  readonly by: Actor;
}

/**
 * Carries out a change of an endpoint in a transaction, in the turn of who asks. One that was deleted is found only by
 * `evenDeleted`.
 *
 * @throws WebhookEndpointNotFound, DatabaseUnavailable, DatabaseContended
 */
export type ChangeEndpoint = <T>(
  id: string,
  options: ChangeOptions & { readonly evenDeleted?: boolean },
  work: (held: HeldEndpoint) => Promise<T>,
) => Promise<T>;

export function createChangeEndpoint(
  { change }: Pick<Database, 'change'>,
  onTouched: OnTouched,
): ChangeEndpoint {
  return async (id, { by = operator, check, evenDeleted = false }, work) => {
    const uuid = findUuid('whe', id);
    if (uuid === undefined) throw new WebhookEndpointNotFound(id);
    const result = await change(by.apiKeyId ?? 'operator', async (tx) => {
      const where = evenDeleted ? { id: uuid } : { id: uuid, deletedAt: null };
      const lockMode = LockMode.PESSIMISTIC_WRITE;
      const row = await tx.em.findOne(WebhookEndpointEntity, where, { lockMode });
      if (row === null) throw new WebhookEndpointNotFound(id);
      check?.(row);
      return work({ tx, row, now: await touch(tx, uuid), by });
    });
    onTouched(uuid);
    return result;
  };
}

/**
 * Lets everybody who sends to an endpoint see that something about it has changed.
 *
 * @returns the database's time.
 * @throws WebhookEndpointNotFound where its workspace was deleted.
 */
export async function touch(tx: Transaction, endpointUuid: string): Promise<Date> {
  const [touched] = await tx.run<{ now_ms: number }>(touchStatement, [endpointUuid]);
  if (touched === undefined) throw new WebhookEndpointNotFound(idOf('whe', endpointUuid));
  return new Date(Math.floor(touched.now_ms));
}

/** Writes a change of an endpoint, or of what hangs on it, into the audit. */
export function recordEndpointChange(
  tx: Transaction,
  { by, action, row, changes }: EndpointChange,
): Promise<void> {
  const { id, workspaceId } = row;
  return recordAudit(tx, {
    actor: by,
    action,
    targetId: idOf('whe', id),
    workspaceIds: [workspaceId],
    changes,
  });
}

interface EndpointChange {
  readonly by: Actor;
  readonly action: Extract<AuditAction, `webhook_endpoint.${string}`>;
  readonly row: { readonly id: string; readonly workspaceId: string };
  readonly changes: Parameters<typeof recordAudit>[1]['changes'];
}
