import { type ContextValues, createContextKey } from '@connectrpc/connect';
import {
  type Caller,
  EventTypeNotAllowed,
  mayUseType,
  mayUseWorkspace,
  WorkspaceNotAllowed,
} from './api-key.ts';

/** Where the request gate leaves the caller for the handlers. */
export const callerKey = createContextKey<Caller | undefined>(undefined, {
  description: 'the caller, as its API key allows',
});

/** The caller of an RPC that needs a key; the request gate has seen to it that there is one. */
export function getCaller(values: ContextValues): Caller {
  const caller = values.get(callerKey);
  if (caller === undefined)
    throw new Error('an RPC that needs a caller was called without the gate');
  return caller;
}

/** @throws WorkspaceNotAllowed */
export function assertMayUseWorkspace(caller: Caller, workspaceId: string): void {
  if (!mayUseWorkspace(caller, workspaceId)) throw new WorkspaceNotAllowed(workspaceId);
}

/** @throws EventTypeNotAllowed */
export function assertMayUseType(caller: Caller, type: string): void {
  if (!mayUseType(caller, type)) throw new EventTypeNotAllowed(type);
}
