import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ContextValues, ServiceImpl } from '@connectrpc/connect';
import type { AuditRecordSchema } from '../../gen/typescript/harbor/audit/v1/audit_record_pb.ts';
import type { AuditService } from '../../gen/typescript/harbor/audit/v1/audit_service_pb.ts';
import { pageSizeOf } from '../page-token.ts';
import { listAuditRecords } from './audit-list.ts';
import type { AuditRecord } from './audit-record.ts';
import type { AuditStore } from './audit-store.ts';

/** What the audit asks of the API keys; it imports no feature, since each of them writes to it. */
export interface AuditReaders {
  /** The workspaces that the caller may use; empty: all. */
  workspaceIdsOf(values: ContextValues): readonly string[];
  /** @throws when the caller may not use the workspace. */
  assertMayUseWorkspace(values: ContextValues, workspaceId: string): void;
}

/** harbor.audit.v1.AuditService over the audit store. */
export function createAuditRpc(
  store: AuditStore,
  readers: AuditReaders,
): ServiceImpl<typeof AuditService> {
  return {
    async listAuditRecords(request, { values }) {
      const workspaceId = request.workspaceId || undefined;
      if (workspaceId !== undefined) readers.assertMayUseWorkspace(values, workspaceId);
      const { records, nextPageToken } = await listAuditRecords(store, {
        workspaceId,
        targetId: request.targetId || undefined,
        ownWorkspaceIds: readers.workspaceIdsOf(values),
        pageSize: pageSizeOf(request.pageSize),
        pageToken: request.pageToken,
      });
      return { auditRecords: records.map(toAuditRecordMessage), nextPageToken };
    },
  };
}

function toAuditRecordMessage(record: AuditRecord): MessageInitShape<typeof AuditRecordSchema> {
  const { recordedAt, apiKeyId = '', workspaceIds, ...rest } = record;
  return {
    ...rest,
    recordedAt: timestampFromDate(recordedAt),
    apiKeyId,
    workspaceIds: [...workspaceIds],
  };
}
