import type { Actor } from '../../audit/index.ts';
import { textArray } from '../../database/binary-arrays.ts';
import type { Database } from '../../database/database.ts';
import type { Transaction } from '../../database/transaction.ts';
import { findUuid, idOf, newUuid, uuidOf } from '../../type-id.ts';
import { cancelWork } from '../endpoints/cancel-work-store.ts';
import type { CreateRequest } from '../endpoints/create-endpoint-store.ts';
import {
  type ChangeEndpoint,
  type ChangeOptions,
  recordEndpointChange,
} from '../endpoints/held-endpoint-store.ts';
import { ReplayEnded, ReplaysFull, WebhookRequestIdReused } from '../webhook-errors.ts';
import { type NewReplay, type Replay, type ReplayState, replaysMax } from './replay.ts';
import { type ReplayRow, toReplay } from './replay-row.ts';
import {
  countReplaysStatement,
  findReplayOfRequestStatement,
  findReplayStatement,
  forgetReplayRequestStatement,
  hastenReplayStatement,
  hastenReplayWorkStatement,
  holdReplaysStatement,
  insertReplayStatement,
  listReplaysStatement,
  lockReplayStatement,
  setReplayStateStatement,
} from './replay-statements.ts';

export interface CreatedReplay {
  readonly id: string;
  readonly replayed: boolean;
}

/** Which replay of which endpoint. */
export interface ReplayKey {
  readonly id: string;
  readonly endpointId: string;
}

/** The SQL of replays; each change is a transaction with its record in the audit, and holds the endpoint. */
export interface ReplayStore {
  /** @throws WebhookEndpointNotFound, ReplaysFull, WebhookRequestIdReused */
  create(
    replay: NewReplay,
    options: ChangeOptions & { readonly by: Actor; readonly request?: CreateRequest | undefined },
  ): Promise<CreatedReplay>;
  find(id: string): Promise<Replay | undefined>;
  /** The newest first. */
  list(options: {
    endpointId: string;
    beforeId: string | undefined;
    limit: number;
  }): Promise<Replay[]>;
  /** @throws WebhookEndpointNotFound, ReplayEnded */
  pause(key: ReplayKey, options?: ChangeOptions): Promise<void>;
  resume(key: ReplayKey, options?: ChangeOptions): Promise<void>;
  /** Gives up what waits of it besides. */
  cancel(key: ReplayKey, options?: ChangeOptions): Promise<void>;
}

const timeoutMs = 5_000;
const uuidMax = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

export function createReplayStore(
  { statements }: Pick<Database, 'statements'>,
  change: ChangeEndpoint,
): ReplayStore {
  /** Nothing changes where it is so already. @throws ReplayEnded */
  function setState(
    { id, endpointId }: ReplayKey,
    options: ChangeOptions,
    to: Exclude<ReplayState, 'done'>,
  ): Promise<void> {
    return change(endpointId, options, async ({ tx, row, by }) => {
      const uuid = uuidOf(id);
      if (to === 'cancelled') {
        await cancelWork(tx, { endpointId: row.id, workspaceId: row.workspaceId, replayId: uuid });
      }
      if (to === 'running') await tx.run(hastenReplayWorkStatement, [row.id, uuid]);
      const [held] = await tx.run<{ state: ReplayState }>(lockReplayStatement, [uuid, row.id]);
      const from = held?.state ?? 'cancelled';
      if (from === to) return;
      if (from === 'done' || from === 'cancelled') throw new ReplayEnded(id, from);
      await tx.run(setReplayStateStatement, [uuid, to]);
      if (to === 'running') await tx.run(hastenReplayStatement, [row.id]);
      const action = actions[to];
      await recordEndpointChange(tx, { by, action, row, changes: { replay_id: id } });
    });
  }

  return {
    create: ({ endpointId, ...replay }, { request, ...options }) =>
      change(endpointId, options, async ({ tx, row, by }) => {
        await tx.run(holdReplaysStatement, [row.workspaceId]);
        const made = request && (await findMade(tx, by, request));
        if (made !== undefined) return { id: made, replayed: true };
        await assertRoom(tx, row.workspaceId);
        const id = newUuid();
        await tx.run(insertReplayStatement, [
          id,
          row.workspaceId,
          row.id,
          replay.low,
          replay.high,
          textArray(replay.typePatterns),
          replay.onlyFailed,
          replay.maxPerSecond ?? null,
          by.apiKeyId === undefined ? null : uuidOf(by.apiKeyId),
          request?.id ?? null,
          request?.fingerprint ?? null,
        ]);
        const changes = {
          replay_id: idOf('rpl', id),
          first_sequence: replay.low + 1,
          last_sequence: replay.high,
          type_patterns: replay.typePatterns,
          only_failed: replay.onlyFailed,
          max_per_second: replay.maxPerSecond,
        };
        const action = 'webhook_endpoint.replay_created';
        await recordEndpointChange(tx, { by, action, row, changes });
        return { id: idOf('rpl', id), replayed: false };
      }),

    async find(id) {
      const uuid = findUuid('rpl', id);
      if (uuid === undefined) return undefined;
      const [row] = await statements.run<ReplayRow>(findReplayStatement, [uuid], timeoutMs);
      return row && toReplay(row);
    },

    async list({ endpointId, beforeId, limit }) {
      const before = (beforeId && findUuid('rpl', beforeId)) ?? uuidMax;
      const values = [uuidOf(endpointId), before, limit];
      const rows = await statements.run<ReplayRow>(listReplaysStatement, values, timeoutMs);
      return rows.map(toReplay);
    },

    pause: (key, options = {}) => setState(key, options, 'paused'),
    resume: (key, options = {}) => setState(key, options, 'running'),
    cancel: (key, options = {}) => setState(key, options, 'cancelled'),
  };
}

const actions = {
  paused: 'webhook_endpoint.replay_paused',
  running: 'webhook_endpoint.replay_resumed',
  cancelled: 'webhook_endpoint.replay_cancelled',
} as const;

async function assertRoom(tx: Transaction, workspaceId: string): Promise<void> {
  const [row] = await tx.run<{ count: number }>(countReplaysStatement, [workspaceId]);
  if ((row?.count ?? 0) >= replaysMax) throw new ReplaysFull(replaysMax);
}

/** The replay that the same request has made. One from more than 24 hours ago gives its request id up. */
async function findMade(
  tx: Transaction,
  by: Actor,
  request: CreateRequest,
): Promise<string | undefined> {
  if (by.apiKeyId === undefined) return undefined;
  const [row] = await tx.run<{ id: string; request_fingerprint: Buffer; is_kept: boolean }>(
    findReplayOfRequestStatement,
    [uuidOf(by.apiKeyId), request.id],
  );
  if (row === undefined) return undefined;
  if (!row.is_kept) {
    await tx.run(forgetReplayRequestStatement, [row.id]);
    return undefined;
  }
  const id = idOf('rpl', row.id);
  if (row.request_fingerprint.equals(request.fingerprint)) return id;
  throw new WebhookRequestIdReused(id);
}
