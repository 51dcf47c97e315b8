import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { WorkspaceSchema } from '../../gen/typescript/harbor/workspaces/v1/workspace_pb.ts';
import type { WorkspacesService } from '../../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';
import {
  assertMayEraseAll,
  assertMayUseWorkspace,
  getActor,
  getCaller,
  mayUseWorkspace,
} from '../api-keys/index.ts';
import { decodePageToken, encodePageToken, pageSizeOf } from '../page-token.ts';
import { toRateLimitsMessage } from '../rate-limits/index.ts';
import {
  findWorkspaceId,
  newWorkspaceId,
  type Workspace,
  WorkspaceNotFound,
  WorkspaceUnnamed,
} from './workspace.ts';
import type { WorkspaceStore } from './workspace-store.ts';

/** harbor.workspaces.v1.WorkspacesService over the workspace store. */
export function createWorkspacesRpc(store: WorkspaceStore): ServiceImpl<typeof WorkspacesService> {
  return {
    async createWorkspace({ id: asked, displayName, retentionDays, rateLimits }, { values }) {
      const by = getActor(values);
      if (asked === '' && by.caller.workspaceIds.length > 0) throw new WorkspaceUnnamed();
      const id = asked === '' ? newWorkspaceId() : asked;
      assertMayUseWorkspace(by.caller, id);
      const { rateLimits: ownLimits } = by.caller;
      const options = { retentionDays, rateLimits, by, ownLimits };
      const workspace = await store.create(id, displayName, options);
      return { workspace: toWorkspaceMessage(workspace) };
    },

    async retrieveWorkspace(request, context) {
      const allowed = mayUseWorkspace(getCaller(context.values), request.id);
      const workspace = allowed ? await store.find(request.id) : undefined;
      if (workspace === undefined) throw new WorkspaceNotFound(request.id);
      return { workspace: toWorkspaceMessage(workspace) };
    },

    async listWorkspaces(request, context) {
      const { workspaceIds } = getCaller(context.values);
      const limit = pageSizeOf(request.pageSize);
      const found = await store.list({
        afterId: decodePageToken('workspaces', request.pageToken, findWorkspaceId) ?? '',
        limit: limit + 1,
        onlyIds: workspaceIds.length === 0 ? undefined : new Set(workspaceIds),
      });
      const page = found.slice(0, limit);
      const last = found.length > limit ? page.at(-1) : undefined;
      return {
        workspaces: page.map(toWorkspaceMessage),
        nextPageToken: last === undefined ? '' : encodePageToken('workspaces', last.id),
      };
    },

    async updateWorkspace({ id, displayName, retentionDays, rateLimits }, { values }) {
      const by = getActor(values);
      if (!mayUseWorkspace(by.caller, id)) throw new WorkspaceNotFound(id);
      const assertMayErase = () => assertMayEraseAll(by.caller);
      const { rateLimits: ownLimits } = by.caller;
      const update = { displayName, retentionDays, rateLimits };
      const workspace = await store.update(id, update, { by, ownLimits, assertMayErase });
      return { workspace: toWorkspaceMessage(workspace) };
    },

    async deleteWorkspace({ id }, { values }) {
      const by = getActor(values);
      assertMayEraseAll(by.caller);
      if (!mayUseWorkspace(by.caller, id)) throw new WorkspaceNotFound(id);
      await store.delete(id, by);
      return {};
    },
  };
}

function toWorkspaceMessage(workspace: Workspace): MessageInitShape<typeof WorkspaceSchema> {
  return {
    id: workspace.id,
    displayName: workspace.displayName,
    lastSequence: BigInt(workspace.lastSequence),
    firstSequence: BigInt(workspace.firstSequence),
    retentionDays: workspace.retentionDays ?? 0,
    createdAt: timestampFromDate(workspace.createdAt),
    ...toRateLimitsMessage(workspace.rateLimits),
  };
}
