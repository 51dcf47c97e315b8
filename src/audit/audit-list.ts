import { decodePageToken, encodePageToken } from '../page-token.ts';
import { findId } from '../type-id.ts';
import type { AuditRecord } from './audit-record.ts';
import type { AuditStore } from './audit-store.ts';

export interface AuditQuery {
  /** Only records that name it. */
  readonly workspaceId: string | undefined;
  /** Only records of what was done to it. */
  readonly targetId: string | undefined;
  /** The workspaces that the caller may use: records that concern others are not shown. Empty: all. */
  readonly ownWorkspaceIds: readonly string[];
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface AuditPage {
  readonly records: readonly AuditRecord[];
  /** Empty at the end. */
  readonly nextPageToken: string;
}

/** Records a read: the largest, a key with 100 patterns, take some 60 KB each. */
const recordsPerRead = 100;
/** Reads a page: it ends early where most of what is read is not to be shown. */
const readsMax = 10;
/** A page ends early beyond this, in characters. */
const pageLengthMax = 1024 * 1024;

/**
 * One page, the newest record first, in bounded time and memory.
 *
 * @throws InvalidPageToken
 */
export async function listAuditRecords(store: AuditStore, query: AuditQuery): Promise<AuditPage> {
  const { workspaceId, targetId, ownWorkspaceIds, pageSize, pageToken } = query;
  const list = JSON.stringify(['audit_records', workspaceId, targetId]);
  let beforeId = decodePageToken(list, pageToken, (id) => findId('aud', id));
  const workspaceIds = candidatesOf(workspaceId, ownWorkspaceIds);
  const records: AuditRecord[] = [];
  const pageUpTo = (id: string | undefined) => ({
    records,
    nextPageToken: id === undefined ? '' : encodePageToken(list, id),
  });
  let length = 0;
  for (let reads = 0; reads < readsMax; reads++) {
    const limit = recordsPerRead;
    const chunk = await store.read({ beforeId, targetId, workspaceIds, limit });
    for (const record of chunk) {
      if (records.length === pageSize || length > pageLengthMax) return pageUpTo(beforeId);
      beforeId = record.id;
      if (!isShown(record, query)) continue;
      records.push(record);
      length += lengthOf(record);
    }
    if (chunk.length < limit) return pageUpTo(undefined);
  }
  return pageUpTo(beforeId);
}

function candidatesOf(
  workspaceId: string | undefined,
  own: readonly string[],
): readonly string[] | undefined {
  if (workspaceId !== undefined) return [workspaceId];
  return own.length === 0 ? undefined : own;
}

function isShown({ workspaceIds }: AuditRecord, { workspaceId, ownWorkspaceIds }: AuditQuery) {
  if (workspaceId !== undefined && !workspaceIds.includes(workspaceId)) return false;
  if (ownWorkspaceIds.length === 0) return true;
  return workspaceIds.length > 0 && workspaceIds.every((id) => ownWorkspaceIds.includes(id));
}

function lengthOf({ changes, workspaceIds }: AuditRecord): number {
  const texts = [...Object.entries(changes).flat(), ...workspaceIds];
  return texts.reduce((sum, text) => sum + text.length, 0);
}
