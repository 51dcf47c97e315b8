import type { Statement, StatementRunner } from '../../database/statements.ts';

const hasEndpointsStatement: Statement = {
  name: 'harbor_webhooks_has_endpoints',
  text: `
    select exists (select from webhook_endpoints where workspace_id = $1) as has_endpoints`,
};
const timeoutMs = 10_000;

/** Whether a workspace has endpoints, deleted ones included: their deliveries are shown for as long as they are there. */
export function createHasEndpoints(
  statements: StatementRunner,
): (workspaceId: string) => Promise<boolean> {
  return async (workspaceId) => {
    const rows = await statements.run<{ has_endpoints: boolean }>(
      hasEndpointsStatement,
      [workspaceId],
      timeoutMs,
    );
    return rows[0]?.has_endpoints !== false;
  };
}
