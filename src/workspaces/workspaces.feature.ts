import { WorkspacesService } from '../../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';
import { type Feature, type FeatureDeps, serve } from '../feature.ts';
import { createWorkspaceStore, type WorkspaceStore } from './workspace-store.ts';
import { createWorkspacesRpc } from './workspaces.rpc.ts';

export interface WorkspacesFeature extends Feature {
  readonly store: WorkspaceStore;
}

export function createWorkspacesFeature({ database }: FeatureDeps): WorkspacesFeature {
  const store = createWorkspaceStore(database);
  return { store, rpcs: [serve(WorkspacesService, createWorkspacesRpc(store))], loops: [] };
}
