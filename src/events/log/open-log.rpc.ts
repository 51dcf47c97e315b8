import type { ContextValues } from '@connectrpc/connect';
import { assertMayUseWorkspace, getCaller, readablePatterns } from '../../api-keys/index.ts';
import type { WorkspaceStore } from '../../workspaces/index.ts';

export type KnownWorkspaces = Pick<WorkspaceStore, 'assertExists'>;

/**
 * The type patterns that a list or a stream of a workspace may hold.
 *
 * @throws when the caller may not read it at all, or nobody can.
 */
export async function openLog(
  workspaces: KnownWorkspaces,
  request: { readonly workspaceId: string; readonly typePatterns: readonly string[] },
  values: ContextValues,
): Promise<readonly string[]> {
  const caller = getCaller(values);
  assertMayUseWorkspace(caller, request.workspaceId);
  const typePatterns = readablePatterns(caller, request.typePatterns);
  await workspaces.assertExists(request.workspaceId);
  return typePatterns;
}
