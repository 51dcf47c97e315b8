import { LockMode } from '@mikro-orm/core';
import { type Actor, type AuditAction, operator, recordAudit } from '../../audit/index.ts';
import { uuidArray } from '../../database/binary-arrays.ts';
import { readClock } from '../../database/clock.ts';
import type { Database } from '../../database/database.ts';
import type { Transaction } from '../../database/transaction.ts';
import { findUuid, idOf, newUuid, uuidOf } from '../../type-id.ts';
import type { Encryption } from '../signing/encryption.ts';
import { headersPlace, secretPlace } from '../signing/request-headers.ts';
import { newWebhookSecret } from '../signing/sign.ts';
import {
  WebhookEndpointNotFound,
  WebhookEndpointsFull,
  WebhookRequestIdReused,
  WebhookSecretsFull,
} from '../webhook-errors.ts';
import { type EndpointRow, toWebhookEndpoint } from './endpoint-row.ts';
import {
  beginEndpointStatement,
  cancelWorkStatement,
  countEndpointsStatement,
  endCursorsStatement,
  holdEndpointsStatement,
  listEndpointsStatement,
  readEndpointsStatement,
  restartEndpointStatement,
  skipToEndStatement,
} from './endpoint-statements.ts';
import {
  WebhookEndpointEntity,
  type WebhookEndpointRow,
  WebhookSecretEntity,
} from './webhook-endpoint.entity.ts';
import {
  type EndpointSettings,
  endpointsMax,
  oldSecretsMax,
  type WebhookEndpoint,
} from './webhook-endpoint.ts';

export interface NewEndpoint extends EndpointSettings {
  readonly workspaceId: string;
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly startAfter: number;
  /** While it catches up; undefined: as it is sent otherwise. */
  readonly catchUpMaxPerSecond: number | undefined;
}

export interface EndpointRequest {
  readonly id: string;
  /** SHA-256 of what it asks for. */
  readonly fingerprint: Buffer;
}

export interface CreatedEndpoint {
  readonly id: string;
  /** Empty for a replay. */
  readonly secret: string;
  readonly replayed: boolean;
}

/** What is given changes. */
export type EndpointUpdate = Partial<EndpointSettings> & {
  readonly headers?: Readonly<Record<string, string>> | undefined;
};

export interface SigningSecret {
  readonly secret: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | undefined;
}

/** May be asked of an endpoint before it is changed, with its row held. @throws to refuse it. */
type Check = (endpoint: {
  readonly workspaceId: string;
  readonly typePatterns: readonly string[];
}) => void;

export interface ChangeOptions {
  readonly by?: Actor;
  /** Passes when the endpoint exists for whoever asks. */
  readonly check?: Check;
}

/** The SQL of endpoints and their secrets; each change is a transaction with its record in the audit. */
export interface EndpointStore {
  /** @throws WebhookEndpointsFull, WebhookRequestIdReused, EncryptionKeyMissing */
  create(
    endpoint: NewEndpoint,
    options: { by: Actor; request?: EndpointRequest | undefined },
  ): Promise<CreatedEndpoint>;
  /** Those that there are. */
  read(ids: readonly string[]): Promise<WebhookEndpoint[]>;
  /** The newest first. */
  list(options: {
    workspaceId: string;
    beforeId: string | undefined;
    limit: number;
  }): Promise<{ readonly id: string; readonly typePatterns: readonly string[] }[]>;
  update(id: string, update: EndpointUpdate, options?: ChangeOptions): Promise<void>;
  pause(id: string, options?: ChangeOptions): Promise<void>;
  resume(id: string, options?: ChangeOptions & { readonly fromNow: boolean }): Promise<void>;
  delete(id: string, options?: ChangeOptions): Promise<void>;
  /** The secrets that sign now, the newest first. @throws WebhookEndpointNotFound, EncryptionKeyMissing */
  reveal(id: string, options?: ChangeOptions): Promise<SigningSecret[]>;
  /** @throws WebhookEndpointNotFound, WebhookSecretsFull, EncryptionKeyMissing */
  rotate(id: string, overlapMs: number, options?: ChangeOptions): Promise<string>;
}

const readTimeoutMs = 5_000;
const requestKeptMs = 24 * 60 * 60_000;
const uuidMax = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

export function createEndpointStore(
  database: Pick<Database, 'change' | 'statements'>,
  encryption: Encryption,
): EndpointStore {
  const { change, statements } = database;

  /** In the turn of who asks, with the row held. */
  function changeRow<T>(
    id: string,
    { by = operator, check }: ChangeOptions,
    work: (held: Held) => Promise<T>,
  ): Promise<T> {
    const uuid = findUuid('whe', id);
    if (uuid === undefined) throw new WebhookEndpointNotFound(id);
    return change(by.apiKeyId ?? 'operator', async (tx) => {
      const where = { id: uuid, deletedAt: null };
      const lockMode = LockMode.PESSIMISTIC_WRITE;
      const row = await tx.em.findOne(WebhookEndpointEntity, where, { lockMode });
      if (row === null) throw new WebhookEndpointNotFound(id);
      check?.(row);
      const now = await readClock(tx);
      row.touchedAt = now;
      return work({ tx, row, now, by });
    });
  }

  function encryptHeaders(id: string, headers: Readonly<Record<string, string>>): Buffer | null {
    if (Object.keys(headers).length === 0) return null;
    return encryption.encrypt(JSON.stringify(headers), headersPlace(id));
  }

  async function addSecret(tx: Transaction, row: { id: string; workspaceId: string }, now: Date) {
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

  return {
    create(endpoint, { by, request }) {
      return change(by.apiKeyId ?? 'operator', async (tx) => {
        await tx.run(holdEndpointsStatement, [endpoint.workspaceId]);
        const now = await readClock(tx);
        const made = request && (await findMade(tx, { by, now }, request));
        if (made !== undefined) return { id: made, secret: '', replayed: true };
        const [row] = await tx.run<{ count: number }>(countEndpointsStatement, [
          endpoint.workspaceId,
        ]);
        if ((row?.count ?? 0) >= endpointsMax) throw new WebhookEndpointsFull(endpointsMax);
        const id = newUuid();
        const { headers, startAfter, catchUpMaxPerSecond, ...settings } = endpoint;
        await tx.em.insert(WebhookEndpointEntity, {
          ...toColumns(settings),
          id,
          workspaceId: endpoint.workspaceId,
          headerNames: Object.keys(headers),
          headers: encryptHeaders(id, headers),
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
        const values = [id, endpoint.workspaceId, startAfter, catchUpMaxPerSecond ?? null];
        await tx.run(beginEndpointStatement, values);
        const secret = await addSecret(tx, { id, workspaceId: endpoint.workspaceId }, now);
        await record(tx, {
          by,
          action: 'webhook_endpoint.created',
          row: { id, ...endpoint },
          changes: audited(settings),
        });
        return { id: idOf('whe', id), secret, replayed: false };
      });
    },

    async read(ids) {
      const uuids = ids.flatMap((id) => findUuid('whe', id) ?? []);
      const rows = await statements.run<EndpointRow>(
        readEndpointsStatement,
        [uuidArray(uuids)],
        readTimeoutMs,
      );
      return rows.map(toWebhookEndpoint);
    },

    async list({ workspaceId, beforeId, limit }) {
      const before = (beforeId && findUuid('whe', beforeId)) ?? uuidMax;
      const rows = await statements.run<{ id: string; type_patterns: string[] }>(
        listEndpointsStatement,
        [workspaceId, before, limit],
        readTimeoutMs,
      );
      return rows.map((row) => ({ id: idOf('whe', row.id), typePatterns: row.type_patterns }));
    },

    update(id, { headers, ...settings }, options = {}) {
      return changeRow(id, options, async ({ tx, row, now, by }) => {
        const given = Object.fromEntries(
          Object.entries(settings).filter(([, value]) => value !== undefined),
        );
        Object.assign(row, toColumns({ ...toSettings(row), ...given }));
        if (headers !== undefined) {
          row.headerNames = Object.keys(headers);
          row.headers = encryptHeaders(row.id, headers);
        }
        row.updatedAt = now;
        const changes = { ...audited(given), header_names: headers && Object.keys(headers) };
        await record(tx, { by, action: 'webhook_endpoint.updated', row, changes });
      });
    },

    pause(id, options = {}) {
      return changeRow(id, options, async ({ tx, row, now, by }) => {
        if (row.status === 'paused') return;
        setStatus(row, 'paused', now);
        await record(tx, { by, action: 'webhook_endpoint.paused', row, changes: {} });
      });
    },

    resume(
      id,
      { fromNow = false, ...options }: ChangeOptions & { readonly fromNow?: boolean } = {},
    ) {
      return changeRow(id, options, async ({ tx, row, now, by }) => {
        const values = [row.id, row.workspaceId];
        if (fromNow) {
          await tx.run(cancelWorkStatement, values);
          await tx.run(skipToEndStatement, values);
        }
        if (row.status === 'enabled') return;
        setStatus(row, 'enabled', now);
        await tx.run(restartEndpointStatement, values);
        await record(tx, {
          by,
          action: 'webhook_endpoint.resumed',
          row,
          changes: { from_now: fromNow },
        });
      });
    },

    delete(id, options = {}) {
      return changeRow(id, options, async ({ tx, row, now, by }) => {
        row.deletedAt = now;
        row.headers = null;
        const values = [row.id, row.workspaceId];
        await tx.run(cancelWorkStatement, values);
        await tx.run(endCursorsStatement, values);
        await tx.em.nativeDelete(WebhookSecretEntity, { endpointId: row.id });
        await record(tx, { by, action: 'webhook_endpoint.deleted', row, changes: {} });
      });
    },

    reveal(id, options = {}) {
      return changeRow(id, options, async ({ tx, row, now, by }) => {
        const secrets = await tx.em.find(
          WebhookSecretEntity,
          { endpointId: row.id, $or: [{ expiresAt: null }, { expiresAt: { $gt: now } }] },
          { orderBy: { id: 'desc' } },
        );
        await record(tx, { by, action: 'webhook_endpoint.secret_revealed', row, changes: {} });
        return secrets.map((secret) => ({
          secret: encryption.open(Buffer.from(secret.ciphertext), secretPlace(secret.id)),
          createdAt: secret.createdAt,
          expiresAt: secret.expiresAt ?? undefined,
        }));
      });
    },

    rotate(id, overlapMs, options = {}) {
      return changeRow(id, options, async ({ tx, row, now, by }) => {
        const ofEndpoint = { endpointId: row.id };
        await tx.em.nativeDelete(WebhookSecretEntity, { ...ofEndpoint, expiresAt: { $lte: now } });
        const kept = await tx.em.count(WebhookSecretEntity, ofEndpoint);
        if (overlapMs > 0 && kept > oldSecretsMax) throw new WebhookSecretsFull(oldSecretsMax);
        const current = { ...ofEndpoint, expiresAt: null };
        const expiresAt = new Date(now.getTime() + overlapMs);
        if (overlapMs === 0) await tx.em.nativeDelete(WebhookSecretEntity, current);
        else await tx.em.nativeUpdate(WebhookSecretEntity, current, { expiresAt });
        const secret = await addSecret(tx, row, now);
        const changes = { old_secret_expires_at: expiresAt };
        await record(tx, { by, action: 'webhook_endpoint.secret_rotated', row, changes });
        return secret;
      });
    },
  };
}

interface Held {
  readonly tx: Transaction;
  readonly row: WebhookEndpointRow;
  readonly now: Date;
  readonly by: Actor;
}

/** The endpoint that the same request has made. One from more than 24 hours ago gives its request id up. */
async function findMade(
  tx: Transaction,
  { by, now }: { readonly by: Actor; readonly now: Date },
  request: EndpointRequest,
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

function setStatus(row: WebhookEndpointRow, status: WebhookEndpointRow['status'], now: Date): void {
  row.status = status;
  row.disabledReason = null;
  row.statusChangedAt = now;
}

function toColumns({ typePatterns, subject, maxPerSecond, ...settings }: EndpointSettings) {
  return {
    ...settings,
    typePatterns: [...typePatterns],
    subject: subject ?? null,
    maxPerSecond: maxPerSecond ?? null,
  };
}

function toSettings(row: WebhookEndpointRow): EndpointSettings {
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

/** Neither secrets, nor subjects, nor what a URL may hold behind its host. */
function audited(settings: Partial<EndpointSettings>) {
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

interface EndpointChange {
  readonly by: Actor;
  readonly action: Extract<AuditAction, `webhook_endpoint.${string}`>;
  readonly row: { readonly id: string; readonly workspaceId: string };
  readonly changes: Parameters<typeof recordAudit>[1]['changes'];
}

function record(tx: Transaction, { by, action, row, changes }: EndpointChange): Promise<void> {
  const { id, workspaceId } = row;
  return recordAudit(tx, {
    actor: by,
    action,
    targetId: idOf('whe', id),
    workspaceIds: [workspaceId],
    changes,
  });
}
