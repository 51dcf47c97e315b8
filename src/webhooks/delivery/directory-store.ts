import { uuidArray } from '../../database/binary-arrays.ts';
import type { Statement, StatementRunner } from '../../database/statements.ts';
import { dateOfMs } from '../row-time.ts';
import type { Cursor, Ordering, Target } from './target.ts';

/** Reads endpoints as those who send to them know them. */
export interface DirectoryStore {
  /** Every endpoint that is not deleted, `limit` at a time, after an id; with the cursors that run. */
  readAll(afterId: string, limit: number): Promise<DirectoryPage>;
  /** Those with these ids; one that is missing was deleted. */
  read(ids: readonly string[]): Promise<DirectoryPage>;
}

export interface DirectoryPage {
  readonly targets: readonly Target[];
  readonly cursors: readonly Cursor[];
}

const timeoutMs = 10_000;

const targetColumns = `
  endpoints.id, endpoints.workspace_id, endpoints.url, endpoints.type_patterns, endpoints.subject,
  endpoints.max_in_flight, endpoints.timeout_ms, endpoints.ordering, endpoints.headers, endpoints.status,
  secrets.ids as secret_ids, secrets.ciphertexts, secrets.expiries_ms`;
/** Secrets sign until their overlap ends. */
const secretsJoin = `cross join lateral (
    select array_agg(id order by id desc) as ids, array_agg(ciphertext order by id desc) as ciphertexts,
      array_agg((extract(epoch from expires_at) * 1000)::float8 order by id desc) as expiries_ms
    from webhook_secrets where webhook_secrets.endpoint_id = endpoints.id
      and (expires_at is null or expires_at > clock_timestamp())
  ) as secrets`;

const readAllStatement: Statement = {
  name: 'harbor_webhooks_read_all',
  text: `
    select ${targetColumns} from webhook_endpoints endpoints ${secretsJoin}
    where endpoints.id > $1::uuid and endpoints.deleted_at is null order by endpoints.id limit $2::int`,
};

const readStatement: Statement = {
  name: 'harbor_webhooks_read',
  text: `
    select ${targetColumns} from webhook_endpoints endpoints ${secretsJoin}
    where endpoints.id = any($1::uuid[]) and endpoints.deleted_at is null`,
};

const readCursorsStatement: Statement = {
  name: 'harbor_webhooks_read_cursors',
  text: `
    select id, endpoint_id, kind, position::float8 as position, end_sequence::float8 as end_sequence, type_patterns,
      only_failed
    from webhook_cursors where endpoint_id = any($1::uuid[]) and state = 'running'`,
};

export function createDirectoryStore(statements: StatementRunner): DirectoryStore {
  async function withCursors(rows: readonly TargetRow[]): Promise<DirectoryPage> {
    const targets = new Map(rows.map((row) => [row.id, toTarget(row)]));
    if (targets.size === 0) return { targets: [], cursors: [] };
    const cursorRows = await statements.run<CursorRow>(
      readCursorsStatement,
      [uuidArray([...targets.keys()])],
      timeoutMs,
    );
    const cursors = cursorRows.flatMap((row) => {
      const target = targets.get(row.endpoint_id);
      return target === undefined ? [] : [toCursor(row, target)];
    });
    return { targets: [...targets.values()], cursors };
  }

  return {
    async readAll(afterId, limit) {
      const values = [afterId, limit];
      return withCursors(await statements.run<TargetRow>(readAllStatement, values, timeoutMs));
    },
    async read(ids) {
      const values = [uuidArray(ids)];
      return withCursors(await statements.run<TargetRow>(readStatement, values, timeoutMs));
    },
  };
}

interface TargetRow {
  readonly id: string;
  readonly workspace_id: string;
  readonly url: string;
  readonly type_patterns: string[];
  readonly subject: string | null;
  readonly max_in_flight: number;
  readonly timeout_ms: number;
  readonly ordering: Ordering;
  readonly headers: Buffer | null;
  readonly status: Target['status'];
  readonly secret_ids: string[] | null;
  readonly ciphertexts: Buffer[] | null;
  readonly expiries_ms: (number | null)[] | null;
}

function toTarget(row: TargetRow): Target {
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    url: row.url,
    typePatterns: row.type_patterns,
    subject: row.subject ?? undefined,
    maxInFlight: row.max_in_flight,
    timeoutMs: row.timeout_ms,
    ordering: row.ordering,
    headers: row.headers ?? undefined,
    secrets: (row.secret_ids ?? []).map((id, index) => ({
      id,
      ciphertext: row.ciphertexts?.[index] as Buffer,
      expiresAt: dateOfMs(row.expiries_ms?.[index] ?? null),
    })),
    status: row.status,
  };
}

interface CursorRow {
  readonly id: string;
  readonly endpoint_id: string;
  readonly kind: 'live' | 'replay';
  readonly position: number;
  readonly end_sequence: number | null;
  readonly type_patterns: string[];
  readonly only_failed: boolean;
}

function toCursor(row: CursorRow, target: Target): Cursor {
  return {
    id: row.id,
    target,
    isReplay: row.kind === 'replay',
    typePatterns: row.type_patterns,
    onlyFailed: row.only_failed,
    endSequence: row.end_sequence ?? undefined,
    position: row.position,
    scanned: row.position,
    turn: 0,
  };
}
