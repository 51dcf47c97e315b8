import { refuse } from '../refusal.ts';
import {
  RetentionOutOfRange,
  WorkspaceAlreadyExists,
  WorkspaceNotFound,
  WorkspaceUnnamed,
} from './workspace.ts';

/** What callers are told when a workspace cannot be made or found. */
export const workspaceRefusals = [
  refuse(WorkspaceNotFound, 'not_found', 'WORKSPACE_NOT_FOUND', (e) => ({
    metadata: { workspace_id: e.workspaceId },
  })),
  refuse(WorkspaceUnnamed, 'permission_denied', 'WORKSPACE_NOT_ALLOWED'),
  refuse(WorkspaceAlreadyExists, 'already_exists', 'WORKSPACE_ALREADY_EXISTS', (e) => ({
    metadata: { workspace_id: e.workspaceId },
  })),
  refuse(RetentionOutOfRange, 'invalid_argument', 'INVALID_REQUEST', (e) => ({
    violation: { field: 'retention_days', description: e.rule },
  })),
];
