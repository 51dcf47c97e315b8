import type { Database } from '../database/database.ts';
import { awaitEntities } from '../database/entity-query.ts';
import { findUuid, uuidOf } from '../type-id.ts';
import { ApiKeyEntity, toApiKey } from './api-key.entity.ts';
import type { ApiKey } from './api-key.ts';
import { type ApiKeyChanges, createApiKeyChanges } from './api-key-changes-store.ts';
import { type CallerStore, createCallerStore } from './caller-store.ts';

/** All of the SQL of API keys. */
export interface ApiKeyStore extends CallerStore, ApiKeyChanges {
  /** Keys newest first, after the one with `afterId` where given. */
  list(options: { afterId: string | undefined; limit: number }): Promise<ApiKey[]>;
  find(id: string): Promise<ApiKey | undefined>;
  /** The keys that there are among these, by id. */
  findAll(ids: readonly string[]): Promise<ReadonlyMap<string, ApiKey>>;
}

export function createApiKeyStore(
  database: Pick<Database, 'orm' | 'statements' | 'change'>,
): ApiKeyStore {
  const { orm, statements } = database;
  return {
    ...createCallerStore(statements),
    ...createApiKeyChanges(database),

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

    async findAll(ids) {
      const where = { id: { $in: ids.map(uuidOf) } };
      const rows = await awaitEntities(orm.em.fork().find(ApiKeyEntity, where));
      return new Map(rows.map(toApiKey).map((apiKey) => [apiKey.id, apiKey]));
    },
  };
}
