export { createKnownWorkspaces, type KnownWorkspaces } from './known-workspaces.ts';
export type { Workspace, WorkspaceUpdate } from './workspace.ts';
export { newWorkspaceId, WorkspaceAlreadyExists, WorkspaceNotFound } from './workspace.ts';
export { workspaceRefusals } from './workspace-refusals.ts';
export { createWorkspaceStore, type WorkspaceStore } from './workspace-store.ts';
export { createWorkspacesFeature, type WorkspacesFeature } from './workspaces.feature.ts';
