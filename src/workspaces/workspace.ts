import { randomBytes } from 'node:crypto';

/** A tenant: events belong to one, and form one log in it. */
export interface Workspace {
  /** `ws_…`, opaque. */
  readonly id: string;
  readonly displayName: string;
  /** Sequence of the newest event; 0 when there is none. */
  readonly lastSequence: number;
  readonly createdAt: Date;
}

export class WorkspaceNotFound extends Error {
  override readonly name = 'WorkspaceNotFound';
  readonly workspaceId: string;

  constructor(workspaceId: string) {
    super(`no workspace ${workspaceId}`);
    this.workspaceId = workspaceId;
  }
}

export class WorkspaceAlreadyExists extends Error {
  override readonly name = 'WorkspaceAlreadyExists';
  readonly workspaceId: string;

  constructor(workspaceId: string) {
    super(`workspace ${workspaceId} exists already`);
    this.workspaceId = workspaceId;
  }
}

/** A new workspace id: `ws_` and 20 hexadecimal digits, 80 random bits. */
export function newWorkspaceId(): string {
  return `ws_${randomBytes(10).toString('hex')}`;
}
