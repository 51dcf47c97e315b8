export type { Workspace } from './workspace.ts';
export { newWorkspaceId, WorkspaceAlreadyExists, WorkspaceNotFound } from './workspace.ts';
export { workspaceRefusals } from './workspace-refusals.ts';
export { createWorkspaceStore, type WorkspaceStore } from './workspace-store.ts';
export { createWorkspacesFeature, type WorkspacesFeature } from './workspaces.feature.ts';
