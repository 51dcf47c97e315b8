import { uuidArray } from '../../database/binary-arrays.ts';
import type { Database } from '../../database/database.ts';
import { findUuid, idOf, uuidOf } from '../../type-id.ts';
import type { Encryption } from '../signing/encryption.ts';
import { cancelWork } from './cancel-work-store.ts';
import {
  type CreatedEndpoint,
  type CreateOptions,
  createEndpoint,
  type NewEndpoint,
} from './create-endpoint-store.ts';
import { audited, encryptHeaders, toColumns, toSettings } from './endpoint-columns-store.ts';
import { type EndpointRow, toWebhookEndpoint } from './endpoint-row.ts';
import {
  endCursorsStatement,
  endReplaysStatement,
  listEndpointsStatement,
  readEndpointsStatement,
  restartEndpointStatement,
  skipToEndStatement,
} from './endpoint-statements.ts';
import {
  type ChangeEndpoint,
  type ChangeOptions,
  recordEndpointChange,
} from './held-endpoint-store.ts';
import type { OnTouched } from './on-touched.ts';
import { type WebhookEndpointRow, WebhookSecretEntity } from './webhook-endpoint.entity.ts';
import type { EndpointSettings, WebhookEndpoint } from './webhook-endpoint.ts';

/** What is given changes; what is undefined stays. */
export interface EndpointUpdate {
  readonly settings: Partial<EndpointSettings>;
  /** All of them, by names in lower case. */
  readonly headers: Readonly<Record<string, string>> | undefined;
}

/** The SQL of endpoints; each change is a transaction with its record in the audit. */
export interface EndpointStore {
  /** @throws WebhookEndpointsFull, WebhookRequestIdReused, EncryptionKeyMissing */
  create(endpoint: NewEndpoint, options: CreateOptions): Promise<CreatedEndpoint>;
  /** Those that there are, the newest first. */
  read(ids: readonly string[]): Promise<WebhookEndpoint[]>;
  /** The newest first. */
  list(options: {
    workspaceId: string;
    beforeId: string | undefined;
    limit: number;
  }): Promise<{ readonly id: string; readonly typePatterns: readonly string[] }[]>;
  update(id: string, update: EndpointUpdate, options?: ChangeOptions): Promise<void>;
  pause(id: string, options?: ChangeOptions): Promise<void>;
  /** Goes on from where it stood, or from now; `fromNow` gives up what waits besides. */
  resume(id: string, options: ChangeOptions & { readonly fromNow: boolean }): Promise<void>;
  /** With its secrets, replays, and what waits. Deleting it again changes nothing. */
  delete(id: string, options?: ChangeOptions): Promise<void>;
}

export interface EndpointStoreDeps {
  readonly database: Pick<Database, 'change' | 'statements'>;
  readonly change: ChangeEndpoint;
  readonly encryption: Encryption;
  readonly onTouched: OnTouched;
}

const readTimeoutMs = 5_000;
const uuidMax = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

export function createEndpointStore(deps: EndpointStoreDeps): EndpointStore {
  const { database, change, encryption, onTouched } = deps;
  return {
    async create(endpoint, options) {
      const created = await database.change(options.by.apiKeyId ?? 'operator', (tx) =>
        createEndpoint(tx, endpoint, { ...options, encryption }),
      );
      if (!created.replayed) onTouched(uuidOf(created.id));
      return created;
    },

    async read(ids) {
      const uuids = ids.flatMap((id) => findUuid('whe', id) ?? []);
      if (uuids.length === 0) return [];
      const values = [uuidArray(uuids)];
      const rows = await database.statements.run<EndpointRow>(
        readEndpointsStatement,
        values,
        readTimeoutMs,
      );
      return rows.map(toWebhookEndpoint);
    },

    async list({ workspaceId, beforeId, limit }) {
      const before = (beforeId && findUuid('whe', beforeId)) ?? uuidMax;
      const rows = await database.statements.run<{ id: string; type_patterns: string[] }>(
        listEndpointsStatement,
        [workspaceId, before, limit],
        readTimeoutMs,
      );
      return rows.map((row) => ({ id: idOf('whe', row.id), typePatterns: row.type_patterns }));
    },

    update(id, { settings, headers }, options = {}) {
      return change(id, options, async ({ tx, row, now, by }) => {
        Object.assign(row, toColumns({ ...toSettings(row), ...settings }));
        if (headers !== undefined) {
          row.headerNames = Object.keys(headers);
          row.headers = encryptHeaders(encryption, row.id, headers);
        }
        row.updatedAt = now;
        const changes = { ...audited(settings), header_names: headers && Object.keys(headers) };
        await recordEndpointChange(tx, { by, action: 'webhook_endpoint.updated', row, changes });
      });
    },

    pause(id, options = {}) {
      return change(id, options, async ({ tx, row, now, by }) => {
        if (row.status === 'paused') return;
        setStatus(row, 'paused', now);
        await recordEndpointChange(tx, { by, action: 'webhook_endpoint.paused', row, changes: {} });
      });
    },

    resume(id, { fromNow, ...options }) {
      return change(id, options, async ({ tx, row, now, by }) => {
        const values = [row.id, row.workspaceId];
        if (!fromNow && row.status === 'enabled') return;
        if (fromNow) {
          await cancelWork(tx, { endpointId: row.id, workspaceId: row.workspaceId });
          await tx.run(endReplaysStatement, values);
          await tx.run(skipToEndStatement, values);
        }
        if (row.status !== 'enabled') setStatus(row, 'enabled', now);
        await tx.run(restartEndpointStatement, values);
        const action = 'webhook_endpoint.resumed';
        await recordEndpointChange(tx, { by, action, row, changes: { from_now: fromNow } });
      });
    },

    delete(id, options = {}) {
      return change(id, { ...options, evenDeleted: true }, async ({ tx, row, now, by }) => {
        if (row.deletedAt !== null) return;
        row.deletedAt = now;
        row.headers = null;
        const values = [row.id, row.workspaceId];
        await cancelWork(tx, { endpointId: row.id, workspaceId: row.workspaceId });
        await tx.run(endCursorsStatement, values);
        await tx.em.nativeDelete(WebhookSecretEntity, { endpointId: row.id });
        await recordEndpointChange(tx, {
          by,
          action: 'webhook_endpoint.deleted',
          row,
          changes: {},
        });
      });
    },
  };
}

function setStatus(row: WebhookEndpointRow, status: WebhookEndpointRow['status'], now: Date): void {
  row.status = status;
  row.disabledReason = null;
  row.statusChangedAt = now;
}
