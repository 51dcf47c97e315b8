import { type ContextValues, createContextKey } from '@connectrpc/connect';
import type { AuditReaders } from '../audit/index.ts';
import { requestIdKey } from '../request-id.ts';
import { coversTypePattern } from '../type-pattern.ts';
import { type Caller, hasScope, mayUseType, mayUseWorkspace } from './api-key.ts';
import type { ApiKeyActor } from './api-key-actor.ts';
import { EventTypeNotAllowed, ScopeMissing, WorkspaceNotAllowed } from './api-key-errors.ts';

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

/** Who makes a change, for the audit; its key is held against the database where it makes or changes keys. */
export function getActor(values: ContextValues): ApiKeyActor & { readonly caller: Caller } {
  const caller = getCaller(values);
  return { caller, apiKeyId: caller.apiKeyId, requestId: values.get(requestIdKey) };
}

/** @throws WorkspaceNotAllowed */
export function assertMayUseWorkspace(caller: Caller, workspaceId: string): void {
  if (!mayUseWorkspace(caller, workspaceId)) throw new WorkspaceNotAllowed(workspaceId);
}

/** @throws EventTypeNotAllowed */
export function assertMayUseType(caller: Caller, type: string): void {
  if (!mayUseType(caller, type)) throw new EventTypeNotAllowed(type);
}

/**
 * Whether the caller may take away events of every type. One that is restricted to types has no say over those of
 * others.
 *
 * @throws ScopeMissing, EventTypeNotAllowed
 */
export function assertMayEraseAll(caller: Caller): void {
  if (!hasScope(caller, 'events:erase')) throw new ScopeMissing('events:erase');
  if (caller.typePatterns.length > 0 && !caller.typePatterns.includes('*')) {
    throw new EventTypeNotAllowed('*');
  }
}

/** What of the audit a caller may read. */
export const auditReaders: AuditReaders = {
  workspaceIdsOf: (values) => getCaller(values).workspaceIds,
  assertMayUseWorkspace: (values, id) => assertMayUseWorkspace(getCaller(values), id),
};

/**
 * The type patterns that a read may use: those that were asked for, or without any those of the key.
 *
 * @throws EventTypeNotAllowed when one that was asked for reaches beyond those of the key.
 */
export function readablePatterns(caller: Caller, wanted: readonly string[]): readonly string[] {
  if (caller.typePatterns.length === 0) return wanted;
  if (wanted.length === 0) return caller.typePatterns;
  for (const pattern of wanted) {
    const covered = caller.typePatterns.some((own) => coversTypePattern(own, pattern));
    if (!covered) throw new EventTypeNotAllowed(pattern);
  }
  return wanted;
}
