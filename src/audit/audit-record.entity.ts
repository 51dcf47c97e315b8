import { defineEntity, p } from '@mikro-orm/core';

/** A row of `audit_records`: written once (a trigger refuses all else). */
export const AuditRecordEntity = defineEntity({
  name: 'AuditRecord',
  tableName: 'audit_records',
  properties: {
    id: p.uuid().primary(),
    recordedAt: p.datetime(3),
    action: p.text(),
    apiKeyId: p.uuid().nullable(),
    requestId: p.text(),
    targetId: p.text().collation('C'),
    workspaceIds: p.array().columnType('text[]'),
    changes: p.json().$type<Record<string, string>>().columnType('json'),
  },
  indexes: [
    { name: 'audit_records_target_id_index', properties: ['targetId', 'id'] },
    {
      name: 'audit_records_of_one_workspace_index',
      expression:
        'create index audit_records_of_one_workspace_index on audit_records ((workspace_ids[1]), id) ' +
        'where cardinality(workspace_ids) = 1',
    },
    {
      name: 'audit_records_of_several_workspaces_index',
      properties: ['id'],
      where: 'cardinality(workspace_ids) > 1',
    },
  ],
});
