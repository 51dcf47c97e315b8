import type { InferEntity } from '@mikro-orm/core';
import type { MikroORM } from '@mikro-orm/postgresql';
import { byteaArray } from '../database/binary-arrays.ts';
import { awaitEntities } from '../database/entity-query.ts';
import type { Statement, StatementRunner } from '../database/statements.ts';
import { findUuid, idOf, newId, uuidOf } from '../type-id.ts';
import { ApiKeyEntity } from './api-key.entity.ts';
import type { ApiKey, Caller, Grant } from './api-key.ts';

/** All of the SQL of API keys. */
export interface ApiKeyStore {
  create(key: Grant & { displayName: string; hint: string; secretHash: Buffer }): Promise<ApiKey>;
  /** Keys newest first, after the one with `afterId` where given. */
  list(options: { afterId: string | undefined; limit: number }): Promise<ApiKey[]>;
  find(id: string): Promise<ApiKey | undefined>;
  /** Revokes a key that is not; an already revoked one keeps its time. */
  revoke(id: string): Promise<void>;
  /** As `findCallers`, of one. */
  findCaller(secretHash: Buffer): Promise<Caller | undefined>;
  /**
   * The callers whose keys have these hashes, in base64, by hash. Without those that were revoked; whether
   * a key has expired is not judged.
   */
  findCallers(secretHashes: readonly string[]): Promise<ReadonlyMap<string, Caller>>;
  /** Those of the keys that no longer work: revoked, expired by the database's clock, or gone. */
  findEnded(ids: readonly string[]): Promise<string[]>;
  /** Notes uses; a later time that is already there stays. */
  noteUses(uses: ReadonlyMap<string, Date>): Promise<void>;
}

/** Short, so that a cached answer plus one look-up stays below the 5 seconds of a revocation. */
const lookUpTimeoutMs = 1_500;

const findCallersStatement: Statement = {
  name: 'harbor_find_callers',
  text: `
    select encode(secret_hash, 'base64') as hash, id, kind, scopes, workspace_ids, type_patterns,
      (extract(epoch from expires_at) * 1000)::float8 as expires_at_ms
    from api_keys where secret_hash = any($1::bytea[]) and revoked_at is null`,
};

const findEndedStatement: Statement = {
  name: 'harbor_find_ended_keys',
  text: `
    select asked.id from unnest($1::uuid[]) as asked (id) where not exists (
      select from api_keys where api_keys.id = asked.id and revoked_at is null
        and (expires_at is null or expires_at > clock_timestamp()))`,
};

const noteUsesStatement: Statement = {
  name: 'harbor_note_key_uses',
  text: `
    update api_keys set last_used_at = used.at
    from unnest($1::uuid[], $2::timestamptz[]) as used (id, at)
    where api_keys.id = used.id
      and (api_keys.last_used_at is null or api_keys.last_used_at < used.at)`,
};

interface CallerRow {
  /** 44 characters: PostgreSQL breaks its lines after 76. */
  readonly hash: string;
  readonly id: string;
  readonly kind: 'secret' | 'restricted';
  readonly scopes: string[];
  readonly workspace_ids: string[];
  readonly type_patterns: string[];
  readonly expires_at_ms: number | null;
}

export function createApiKeyStore(orm: MikroORM, statements: StatementRunner): ApiKeyStore {
  async function findCallers(secretHashes: readonly string[]): Promise<Map<string, Caller>> {
    const hashes = byteaArray(secretHashes.map((hash) => Buffer.from(hash, 'base64')));
    const rows = await statements.run<CallerRow>(findCallersStatement, [hashes], lookUpTimeoutMs);
    return new Map(rows.map((row) => [row.hash, toCaller(row)]));
  }

  return {
    async create(key) {
      const id = newId('key');
      const row = {
        ...key,
        id: uuidOf(id),
        scopes: [...key.scopes],
        workspaceIds: [...key.workspaceIds],
        typePatterns: [...key.typePatterns],
        createdAt: new Date(),
        expiresAt: key.expiresAt ?? null,
        revokedAt: null,
        lastUsedAt: null,
        requestId: null,
        createdBy: null,
      };
      await awaitEntities(orm.em.fork().insert(ApiKeyEntity, row));
      return toApiKey(row);
    },

    async list({ afterId, limit }) {
      const uuid = afterId === undefined ? undefined : findUuid('key', afterId);
      const where = uuid === undefined ? {} : { id: { $lt: uuid } };
      const rows = await awaitEntities(
        orm.em.fork().find(ApiKeyEntity, where, { orderBy: { id: 'desc' }, limit }),
      );
      return rows.map(toApiKey);
    },

    async find(id) {
      const uuid = findUuid('key', id);
      if (uuid === undefined) return undefined;
      const row = await awaitEntities(orm.em.fork().findOne(ApiKeyEntity, { id: uuid }));
      return row === null ? undefined : toApiKey(row);
    },

    async revoke(id) {
      const where = { id: uuidOf(id), revokedAt: null };
      await awaitEntities(
        orm.em.fork().nativeUpdate(ApiKeyEntity, where, { revokedAt: new Date() }),
      );
    },

    async findCaller(secretHash) {
      const hash = secretHash.toString('base64');
      return (await findCallers([hash])).get(hash);
    },

    findCallers,

    async findEnded(ids) {
      const rows = await statements.run<{ id: string }>(
        findEndedStatement,
        [ids.map(uuidOf)],
        lookUpTimeoutMs,
      );
      return rows.map(({ id }) => idOf('key', id));
    },

    async noteUses(uses) {
      const ids = [...uses.keys()].map(uuidOf);
      await statements.run(noteUsesStatement, [ids, [...uses.values()]], lookUpTimeoutMs);
    },
  };
}

function toCaller(row: CallerRow): Caller {
  return {
    apiKeyId: idOf('key', row.id),
    kind: row.kind,
    scopes: row.scopes,
    workspaceIds: row.workspace_ids,
    typePatterns: row.type_patterns,
    expiresAt: row.expires_at_ms === null ? undefined : new Date(row.expires_at_ms),
  };
}

type ApiKeyRow = Omit<InferEntity<typeof ApiKeyEntity>, 'secretHash'>;

function toApiKey(row: ApiKeyRow): ApiKey {
  return {
    id: idOf('key', row.id),
    kind: row.kind,
    displayName: row.displayName,
    hint: row.hint,
    scopes: row.scopes,
    workspaceIds: row.workspaceIds,
    typePatterns: row.typePatterns,
    createdAt: row.createdAt,
    expiresAt: row.expiresAt ?? undefined,
    revokedAt: row.revokedAt ?? undefined,
    lastUsedAt: row.lastUsedAt ?? undefined,
  };
}
