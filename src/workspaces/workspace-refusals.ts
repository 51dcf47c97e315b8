import { refuse } from '../refusal.ts';
import { WorkspaceAlreadyExists, WorkspaceNotFound } from './workspace.ts';

/** What callers are told when a workspace cannot be made or found. */
export const workspaceRefusals = [
  refuse(WorkspaceNotFound, 'not_found', 'WORKSPACE_NOT_FOUND', (e) => ({
    metadata: { workspace_id: e.workspaceId },
  })),
  refuse(WorkspaceAlreadyExists, 'already_exists', 'WORKSPACE_ALREADY_EXISTS', (e) => ({
    metadata: { workspace_id: e.workspaceId },
  })),
];
