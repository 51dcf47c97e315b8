import type { Client } from '@connectrpc/connect';
import type { WorkspacesService } from '../../../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';
import type { Caller } from '../caller.ts';
import { HarborError } from '../errors.ts';
import { requireString } from '../events/request-fields.ts';
import { makeIdempotencyKey } from '../idempotency-key.ts';
import { refuseUnknownFields } from '../known-names.ts';
import { type ItemList, listPages, type PageQuery, pageQueryNames } from '../list-pages.ts';
import { type RequestOptions, requestOptionNames } from '../options.ts';
import {
  type NewWorkspace,
  newWorkspaceNames,
  type Workspace,
  type WorkspaceChanges,
} from './workspace.ts';
import {
  newWorkspaceToMessage,
  workspaceChangesToMessage,
  workspaceFromMessage,
} from './workspace-messages.ts';

/** @internal */
export interface WorkspacesDeps {
  readonly client: Client<typeof WorkspacesService>;
  readonly call: Caller;
}

/**
 * Creates, reads, changes and deletes workspaces: `harbor.workspaces`.
 *
 * All calls reject as those of `harbor.events` do; with NotFoundError for a workspace that does not exist, or that the API key
 * may not use; with PermissionError when the key lacks workspaces:read or workspaces:write.
 */
export class Workspaces {
  readonly #deps: WorkspacesDeps;

  /** @internal */
  constructor(deps: WorkspacesDeps) {
    this.#deps = deps;
  }

  /**
   * Creates a workspace with an empty log; without an `id` one, whatever happens to the attempts.
   *
   * Rejects with a HarborError of the reason WORKSPACE_ALREADY_EXISTS when the `id` that is given is taken, also by an attempt of
   * this call whose answer was lost, or by a deleted workspace that is not gone yet; with PermissionError when the key may not
   * use that workspace, or `rateLimits` are above its own (RATE_LIMITS_EXCEED_CALLER).
   */
  async create(workspace: NewWorkspace = {}, options: RequestOptions = {}): Promise<Workspace> {
    const { client, call } = this.#deps;
    refuseUnknownFields(workspace, newWorkspaceNames, requestOptionNames);
    const isOurs = workspace.id === undefined;
    const id = isOurs ? `ws_${makeIdempotencyKey()}` : requireString('id', workspace.id);
    const request = newWorkspaceToMessage(id, workspace);
    try {
      const answer = await call((attempt) => client.createWorkspace(request, attempt), options);
      return workspaceFromMessage(answer.workspace);
    } catch (error) {
      const exists = error instanceof HarborError && error.reason === 'WORKSPACE_ALREADY_EXISTS';
      if (!exists || !isOurs) throw error;
      // Nobody else knows the id: an attempt of this call has made it. To read it would take another scope.
      return this.update(id, {}, options);
    }
  }

  async retrieve(id: string, options: RequestOptions = {}): Promise<Workspace> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    const answer = await call((attempt) => client.retrieveWorkspace(request, attempt), options);
    return workspaceFromMessage(answer.workspace);
  }

  /** Lists the workspaces that the API key may use, by id. */
  list(query: PageQuery = {}, options: RequestOptions = {}): ItemList<Workspace> {
    const { client, call } = this.#deps;
    return listPages(
      {
        call,
        fields: pageQueryNames,
        send: (_, page) => (attempt) => client.listWorkspaces(page, attempt),
        itemsOf: ({ workspaces }) => workspaces.map(workspaceFromMessage),
      },
      query,
      options,
    );
  }

  /**
   * Changes a workspace; what is absent stays. New limits hold in every process of the service within 5 seconds.
   *
   * Rejects with PermissionError where retention is shortened and the key lacks events:erase or is restricted to event
   * types, and where a limit would be raised above that of the key (RATE_LIMITS_EXCEED_CALLER).
   */
  async update(
    id: string,
    changes: WorkspaceChanges,
    options: RequestOptions = {},
  ): Promise<Workspace> {
    const { client, call } = this.#deps;
    const request = workspaceChangesToMessage(id, changes);
    const answer = await call((attempt) => client.updateWorkspace(request, attempt), options);
    return workspaceFromMessage(answer.workspace);
  }

  /**
   * Deletes a workspace with all its events, in every process of the service within 5 seconds. There is no way back. Needs
   * events:erase besides, and a key that is not restricted to event types. Deleting it again succeeds until its data is gone.
   */
  async delete(id: string, options: RequestOptions = {}): Promise<void> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    await call((attempt) => client.deleteWorkspace(request, attempt), options);
  }
}
