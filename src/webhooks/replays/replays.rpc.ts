import type { ContextValues, ServiceImpl } from '@connectrpc/connect';
import type { WebhooksService } from '../../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { type Caller, getActor, getCaller } from '../../api-keys/index.ts';
import { decodePageToken, encodePageToken, pageSizeOf } from '../../page-token.ts';
import { findId, uuidOf } from '../../type-id.ts';
import { fingerprintOf } from '../endpoints/endpoint-message.rpc.ts';
import { assertMayRead, type GetEndpoint, toChangeOptions } from '../endpoints/get-endpoint.rpc.ts';
import { ReplayNotFound, WebhookEndpointNotFound } from '../webhook-errors.ts';
import type { CountMatching } from './matching-store.ts';
import type { Replay } from './replay.ts';
import { toAskedRange, toReplayMessage } from './replay-message.rpc.ts';
import type { FindRange } from './replay-range.ts';
import type { ReplayStore } from './replay-store.ts';

export interface ReplaysRpcDeps {
  readonly store: ReplayStore;
  readonly getEndpoint: GetEndpoint;
  readonly findRange: FindRange;
  readonly countMatching: CountMatching;
}

type ReplayRpcs = Pick<
  ServiceImpl<typeof WebhooksService>,
  | 'createReplay'
  | 'retrieveReplay'
  | 'listReplays'
  | 'pauseReplay'
  | 'resumeReplay'
  | 'cancelReplay'
  | 'retryDeliveries'
>;

/** The RPCs of harbor.webhooks.v1.WebhooksService about replays. */
export function createReplaysRpc(deps: ReplaysRpcDeps): ReplayRpcs {
  const { store, getEndpoint, findRange, countMatching } = deps;

  /** The replay, where its endpoint exists for the caller. @throws ReplayNotFound */
  async function get(caller: Caller, id: string): Promise<Replay> {
    const replay = await store.find(id);
    if (replay === undefined) throw new ReplayNotFound(id);
    await orNotFound(id, getEndpoint(caller, replay.endpointId));
    return replay;
  }

  async function getMessage(values: ContextValues, id: string) {
    return toReplayMessage(await get(getCaller(values), id));
  }

  function changing(change: 'pause' | 'resume' | 'cancel') {
    return async ({ id }: { readonly id: string }, { values }: { values: ContextValues }) => {
      const { endpointId } = await get(getCaller(values), id);
      const options = toChangeOptions(values, endpointId);
      await orNotFound(id, store[change]({ id, endpointId }, options));
      return { replay: await getMessage(values, id) };
    };
  }

  return {
    async createReplay(request, { values }) {
      const caller = getCaller(values);
      assertMayRead(caller);
      const { endpointId, typePatterns, onlyFailed, maxPerSecond, requestId } = request;
      const endpoint = await getEndpoint(caller, endpointId);
      const { workspaceId } = endpoint;
      const asked = toAskedRange(request);
      const range = await findRange(workspaceId, asked);
      if (request.dryRun) {
        const { count, isAtLeast } = await countMatching({
          ...range,
          workspaceId,
          endpointId: uuidOf(endpointId),
          onlyFailed,
          matcher: { target: endpoint, typePatterns },
        });
        return { matching: BigInt(count), isAtLeast };
      }
      const fingerprint = fingerprintOf([
        endpointId,
        asked,
        typePatterns,
        onlyFailed,
        maxPerSecond,
      ]);
      const { id, replayed } = await store.create(
        {
          endpointId,
          workspaceId,
          ...range,
          typePatterns,
          onlyFailed,
          maxPerSecond: maxPerSecond || undefined,
        },
        {
          ...toChangeOptions(values, endpointId),
          by: getActor(values),
          request: requestId === '' ? undefined : { id: requestId, fingerprint },
        },
      );
      return { replay: await getMessage(values, id), replayed };
    },

    async retryDeliveries(request, { values }) {
      const caller = getCaller(values);
      assertMayRead(caller);
      const { endpointId } = request;
      const { workspaceId } = await getEndpoint(caller, endpointId);
      const range = await findRange(workspaceId, toAskedRange(request));
      const failed = { typePatterns: [], onlyFailed: true, maxPerSecond: undefined };
      const { id } = await store.create(
        { endpointId, workspaceId, ...range, ...failed },
        { ...toChangeOptions(values, endpointId), by: getActor(values) },
      );
      return { replay: await getMessage(values, id) };
    },

    async retrieveReplay({ id }, { values }) {
      return { replay: await getMessage(values, id) };
    },

    async listReplays({ endpointId, pageSize, pageToken }, { values }) {
      await getEndpoint(getCaller(values), endpointId);
      const list = `webhook_replays ${endpointId}`;
      const limit = pageSizeOf(pageSize);
      const beforeId = decodePageToken(list, pageToken, (id) => findId('rpl', id));
      const found = await store.list({ endpointId, beforeId, limit: limit + 1 });
      const page = found.slice(0, limit);
      const last = found.length > limit ? page.at(-1) : undefined;
      return {
        replays: page.map(toReplayMessage),
        nextPageToken: last === undefined ? '' : encodePageToken(list, last.id),
      };
    },

    pauseReplay: changing('pause'),
    resumeReplay: changing('resume'),
    cancelReplay: changing('cancel'),
  };
}

/** Of an endpoint that does not exist for the caller no replay does. */
async function orNotFound<T>(replayId: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw error instanceof WebhookEndpointNotFound ? new ReplayNotFound(replayId) : error;
  }
}
