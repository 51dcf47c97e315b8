import type { Workspace as WorkspaceMessage } from '../../../gen/typescript/harbor/workspaces/v1/workspace_pb.ts';
import { toSafeInteger } from '../events/from-message.ts';
import { parseInteger, requireString } from '../events/request-fields.ts';
import { refuseUnknownFields } from '../known-names.ts';
import { requireDate, requireMessage } from '../message-parts.ts';
import {
  newRateLimitsToMessage,
  rateLimitChangesToMessage,
  rateLimitsFromMessage,
} from '../rate-limits.ts';
import {
  type NewWorkspace,
  type Workspace,
  type WorkspaceChanges,
  workspaceChangeNames,
} from './workspace.ts';

const days = { min: 7, max: 36_500 };
/** On the wire, where nothing is kept for no days. */
const forEver = 0;

/** @param id as given, or made. */
export function newWorkspaceToMessage(id: string, workspace: NewWorkspace) {
  const { displayName, retentionDays, rateLimits } = workspace;
  return {
    id,
    displayName: displayName === undefined ? '' : requireString('displayName', displayName),
    retentionDays: parseInteger('retentionDays', retentionDays, days) ?? forEver,
    ...newRateLimitsToMessage(rateLimits),
  };
}

export function workspaceChangesToMessage(id: string, changes: WorkspaceChanges) {
  refuseUnknownFields(changes, workspaceChangeNames);
  const { displayName, retentionDays, rateLimits } = changes;
  return {
    id: requireString('id', id),
    ...(displayName !== undefined && { displayName: requireString('displayName', displayName) }),
    ...(retentionDays !== undefined && {
      retentionDays: parseInteger('retentionDays', retentionDays ?? undefined, days) ?? forEver,
    }),
    ...rateLimitChangesToMessage(rateLimits),
  };
}

/** Throws InternalError (RESPONSE_INVALID) when the answer is not whole. */
export function workspaceFromMessage(given: WorkspaceMessage | undefined): Workspace {
  const message = requireMessage(given, 'workspace');
  const { retentionDays } = message;
  return {
    id: message.id,
    displayName: message.displayName,
    lastSequence: toSafeInteger(message.lastSequence),
    firstSequence: toSafeInteger(message.firstSequence),
    createdAt: requireDate(message.createdAt),
    ...(retentionDays !== forEver && { retentionDays }),
    ...rateLimitsFromMessage(message.rateLimits),
  };
}
