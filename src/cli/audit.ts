import { Command } from 'commander';
import { type AuditRecord, createAuditStore } from '../audit/index.ts';
import { printPages, type RowFormat, readPages } from './rows.ts';
import { withDatabase } from './with-database.ts';
import { parseWorkspaceId } from './workspaces.ts';

interface ListOptions {
  readonly workspace?: string;
  readonly target?: string;
}

export function auditCommand(): Command {
  const audit = new Command('audit').description('tell who changed what');
  audit
    .command('list')
    .description('list audit records, the newest first')
    .option('--workspace <id>', 'only records that name this workspace', parseWorkspaceId)
    .option('--target <id>', 'only what was done to this: the id of a key, a workspace, an event')
    .action(({ workspace, target: targetId }: ListOptions) =>
      withDatabase((database) => {
        const store = createAuditStore(database);
        const workspaceIds = workspace === undefined ? undefined : [workspace];
        const pages = readPages((beforeId, limit) =>
          store.read({ beforeId, targetId, workspaceIds, limit }),
        );
        return printPages(naming(workspace, pages), auditRows);
      }),
    );
  return audit;
}

async function* naming(
  workspace: string | undefined,
  pages: AsyncIterable<readonly AuditRecord[]>,
): AsyncGenerator<readonly AuditRecord[]> {
  for await (const records of pages) {
    yield records.filter(
      ({ workspaceIds }) => workspace === undefined || workspaceIds.includes(workspace),
    );
  }
}

const auditRows: RowFormat<AuditRecord> = {
  columns: [
    { title: 'RECORDED', cell: ({ recordedAt }) => recordedAt.toISOString().slice(0, 19) },
    { title: 'ACTION', cell: ({ action }) => action },
    { title: 'TARGET', cell: ({ targetId }) => targetId },
    { title: 'BY', cell: ({ apiKeyId = '(operator)' }) => apiKeyId },
    {
      title: 'CHANGES',
      cell: ({ changes }) =>
        Object.entries(changes)
          .map(([name, value]) => `${name}=${value}`)
          .join(' '),
    },
  ],
  toJson: (record) => ({
    id: record.id,
    recorded_at: record.recordedAt,
    action: record.action,
    api_key_id: record.apiKeyId,
    request_id: record.requestId || undefined,
    target_id: record.targetId,
    workspace_ids: record.workspaceIds,
    changes: record.changes,
  }),
};
