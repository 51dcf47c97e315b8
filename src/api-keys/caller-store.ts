import { byteaArray } from '../database/binary-arrays.ts';
import type { Statement, StatementRunner } from '../database/statements.ts';
import {
  fromSelectedRateLimits,
  type SelectedRateLimits,
  selectedRateLimits,
} from '../rate-limits/index.ts';
import { idOf, uuidOf } from '../type-id.ts';
import type { Caller } from './api-key.ts';

/** What every call and every stream asks about keys: prepared statements, by the hash of a secret in base64. */
export interface CallerStore {
  /** As `findCallers`, of one. */
  findCaller(secretHash: Buffer): Promise<Caller | undefined>;
  /**
   * The callers with these secrets, by hash: a key's secret, or an old one in its overlap by the database's
   * clock. Without keys that were revoked; whether a key has expired is not judged.
   */
  findCallers(secretHashes: readonly string[]): Promise<ReadonlyMap<string, Caller>>;
  /**
   * Those of the secrets that no longer work: their key was revoked or has expired, or they are past their
   * overlap, by the database's clock; or they are nobody's.
   */
  findEndedSecrets(secretHashes: readonly string[]): Promise<string[]>;
  /** Notes uses by key id; a later time that is already there stays. */
  noteUses(uses: ReadonlyMap<string, Date>): Promise<void>;
}

/** Short, so that a cached answer plus one look-up stays below the 5 seconds of a revocation. */
const lookUpTimeoutMs = 1_500;

const callerColumns = `id, kind, scopes, workspace_ids, type_patterns,
      (extract(epoch from api_keys.expires_at) * 1000)::float8 as expires_at_ms,
      ${selectedRateLimits}`;

const findCallersStatement: Statement = {
  name: 'harbor_find_callers',
  text: `
    select encode(secret_hash, 'base64') as hash, ${callerColumns}
    from api_keys where secret_hash = any($1::bytea[]) and revoked_at is null
    union all
    select encode(old.secret_hash, 'base64'), ${callerColumns}
    from api_key_old_secrets as old join api_keys on api_keys.id = old.api_key_id
    where old.secret_hash = any($1::bytea[]) and old.expires_at > clock_timestamp()
      and revoked_at is null`,
};

const isActive = `revoked_at is null
        and (api_keys.expires_at is null or api_keys.expires_at > clock_timestamp())`;

const findEndedStatement: Statement = {
  name: 'harbor_find_ended_secrets',
  text: `
    select encode(asked.hash, 'base64') as hash from unnest($1::bytea[]) as asked (hash)
    where not exists (select from api_keys where secret_hash = asked.hash and ${isActive})
      and not exists (
        select from api_key_old_secrets as old join api_keys on api_keys.id = old.api_key_id
        where old.secret_hash = asked.hash and old.expires_at > clock_timestamp() and ${isActive})`,
};

/** Locks in the order of ids, as whoever changes keys does, so that nobody waits for each other. */
const noteUsesStatement: Statement = {
  name: 'harbor_note_key_uses',
  text: `
    with used as materialized (
      select api_keys.id, used.at
      from unnest($1::uuid[], $2::timestamptz[]) as used (id, at) join api_keys using (id)
      where api_keys.last_used_at is null or api_keys.last_used_at < used.at
      order by api_keys.id for no key update of api_keys
    )
    update api_keys set last_used_at = used.at from used where api_keys.id = used.id`,
};

interface CallerRow extends SelectedRateLimits {
  /** 44 characters: PostgreSQL breaks its lines after 76. */
  readonly hash: string;
  readonly id: string;
  readonly kind: 'secret' | 'restricted';
  readonly scopes: string[];
  readonly workspace_ids: string[];
  readonly type_patterns: string[];
  readonly expires_at_ms: number | null;
}

export function createCallerStore(statements: StatementRunner): CallerStore {
  async function findCallers(secretHashes: readonly string[]): Promise<Map<string, Caller>> {
    const hashes = toArray(secretHashes);
    const rows = await statements.run<CallerRow>(findCallersStatement, [hashes], lookUpTimeoutMs);
    return new Map(rows.map((row) => [row.hash, toCaller(row)]));
  }

  return {
    async findCaller(secretHash) {
      const hash = secretHash.toString('base64');
      return (await findCallers([hash])).get(hash);
    },

    findCallers,

    async findEndedSecrets(secretHashes) {
      const rows = await statements.run<{ hash: string }>(
        findEndedStatement,
        [toArray(secretHashes)],
        lookUpTimeoutMs,
      );
      return rows.map(({ hash }) => hash);
    },

    async noteUses(uses) {
      const ids = [...uses.keys()].map(uuidOf);
      await statements.run(noteUsesStatement, [ids, [...uses.values()]], lookUpTimeoutMs);
    },
  };
}

function toArray(hashes: readonly string[]): Buffer {
  return byteaArray(hashes.map((hash) => Buffer.from(hash, 'base64')));
}

function toCaller(row: CallerRow): Caller {
  return {
    apiKeyId: idOf('key', row.id),
    secretHash: row.hash,
    kind: row.kind,
    scopes: row.scopes,
    workspaceIds: row.workspace_ids,
    typePatterns: row.type_patterns,
    expiresAt: row.expires_at_ms === null ? undefined : new Date(row.expires_at_ms),
    rateLimits: fromSelectedRateLimits(row),
  };
}
