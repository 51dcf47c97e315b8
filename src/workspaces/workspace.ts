import { randomBytes } from 'node:crypto';
import type { RateLimits } from '../rate-limits/index.ts';

/** A tenant: events belong to one, and form one log in it. */
export interface Workspace {
  /** `ws_…`, opaque. */
  readonly id: string;
  readonly displayName: string;
  /** Sequence of the newest event; 0 when there is none. */
  readonly lastSequence: number;
  /** The first sequence that retention keeps; one more than the last when it keeps none. */
  readonly firstSequence: number;
  /** How long events are kept; undefined: for ever. */
  readonly retentionDays: number | undefined;
  readonly createdAt: Date;
  /** Of all API keys in it together; undefined: none. */
  readonly rateLimits?: RateLimits | undefined;
}

/** What to change of a workspace; what is undefined stays. */
export interface WorkspaceUpdate {
  readonly displayName?: string | undefined;
  /** 0: for ever. */
  readonly retentionDays?: number | undefined;
  /** Of these too, what is undefined stays; 0 takes a limit off. */
  readonly rateLimits?: RateLimits | undefined;
}

/** So that a live idempotency key has its event, and whoever reads late a week. */
export const retentionDaysMin = 7;
export const retentionDaysMax = 36_500;

/** @throws RetentionOutOfRange unless events are kept for ever, which is 0, or for as long as may be. */
export function assertRetention(days: number): void {
  const isWithin = days >= retentionDaysMin && days <= retentionDaysMax;
  if (days !== 0 && !isWithin) throw new RetentionOutOfRange();
}

/** Whether events that were kept may be past the new retention; 0: for ever. */
export function isShorter(nowDays: number, beforeDays: number): boolean {
  return nowDays !== 0 && (beforeDays === 0 || nowDays < beforeDays);
}

export class WorkspaceNotFound extends Error {
  override readonly name = 'WorkspaceNotFound';
  readonly workspaceId: string;

  constructor(workspaceId: string) {
    super(`no workspace ${workspaceId}`);
    this.workspaceId = workspaceId;
  }
}

/** A caller who is restricted to workspaces names none to create: a new id would be none of its own. */
export class WorkspaceUnnamed extends Error {
  override readonly name = 'WorkspaceUnnamed';

  constructor() {
    super(
      'the API key is restricted to workspaces, and cannot create one without its id: name one of those',
    );
  }
}

export class WorkspaceAlreadyExists extends Error {
  override readonly name = 'WorkspaceAlreadyExists';
  readonly workspaceId: string;

  /** @param isDeleted nobody finds it any more, but its data is not gone yet. */
  constructor(workspaceId: string, isDeleted: boolean) {
    super(
      isDeleted
        ? `workspace ${workspaceId} was deleted, and its data is not gone yet`
        : `workspace ${workspaceId} exists already`,
    );
    this.workspaceId = workspaceId;
  }
}

/** The rule of `retention_days`, which no annotation can say of a field that may be unset. */
export class RetentionOutOfRange extends Error {
  override readonly name = 'RetentionOutOfRange';
  readonly rule = 'must be 0, for ever, or 7–36,500 days';

  constructor() {
    super('retention_days must be 0, for ever, or 7–36,500 days');
  }
}

/** The same text where it can be the id of a workspace, else undefined: for text that came from outside. */
export function findWorkspaceId(text: string): string | undefined {
  return /^ws_[0-9a-z]{1,64}$/.test(text) ? text : undefined;
}

/** A new workspace id: `ws_` and 20 hexadecimal digits, 80 random bits. */
export function newWorkspaceId(): string {
  return `ws_${randomBytes(10).toString('hex')}`;
}
