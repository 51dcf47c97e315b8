import type { Names } from '../known-names.ts';
import type { RateLimitChanges, RateLimits } from '../rate-limits.ts';

/** A workspace to create. */
export interface NewWorkspace {
  /** Where one exists already elsewhere: ws_ and 1–64 lower-case letters and digits. Absent: one is made. */
  readonly id?: string | undefined;
  /** What people call it; at most 255 characters. */
  readonly displayName?: string | undefined;
  /** How long events are kept, in days, 7–36,500; absent: for ever. */
  readonly retentionDays?: number | undefined;
  /** What all API keys in it together may take; none above those of the key that creates it. */
  readonly rateLimits?: RateLimits | undefined;
}

/** @internal */
export const newWorkspaceNames = {
  id: true,
  displayName: true,
  retentionDays: true,
  rateLimits: true,
} satisfies Names<NewWorkspace>;

/** What to change of a workspace; what is absent stays. */
export interface WorkspaceChanges {
  /** What people call it; at most 255 characters. */
  readonly displayName?: string | undefined;
  /** Null: events are kept for ever. To shorten it takes events away for good, and needs events:erase. */
  readonly retentionDays?: number | null | undefined;
  /** Limits that are absent stay, null takes one off, or all of them. */
  readonly rateLimits?: RateLimitChanges | null | undefined;
}

/** @internal */
export const workspaceChangeNames = {
  displayName: true,
  retentionDays: true,
  rateLimits: true,
} satisfies Names<WorkspaceChanges>;

/** A workspace: the tenant that events belong to. */
export interface Workspace {
  /** ws_ and 1–64 lower-case letters and digits. */
  readonly id: string;
  readonly displayName: string;
  /** Sequence of the newest event; 0: there is none yet. */
  readonly lastSequence: number;
  /** The first sequence that retention keeps; one more than the last when it keeps none. */
  readonly firstSequence: number;
  readonly createdAt: Date;
  /** How long events are kept, in days; absent: for ever. */
  readonly retentionDays?: number;
  /** What all API keys in it together may take; absent: no limit. */
  readonly rateLimits?: RateLimits;
}
