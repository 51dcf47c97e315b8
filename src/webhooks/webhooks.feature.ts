import { WebhooksService } from '../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import {
  type CommitNews,
  createEventLogStore,
  createEventStore,
  type Event,
  type LeftBehind,
} from '../events/index.ts';
import { type Feature, type FeatureDeps, type Loop, serve } from '../feature.ts';
import type { Tracing } from '../tracing/tracing.ts';
import { newUuid } from '../type-id.ts';
import { type Courier, createCourier } from './delivery/courier.ts';
import { createDeliveryLog } from './delivery/delivery-log.ts';
import { createDeliveryStore } from './delivery/delivery-store.ts';
import { createDirectory } from './delivery/directory.ts';
import { createDirectoryStore } from './delivery/directory-store.ts';
import { createDeliveryEngine, type DeliveryEngine } from './delivery/engine.ts';
import { createEventBodies } from './delivery/event-body.ts';
import { createFailedStore } from './delivery/failed-store.ts';
import { usualLimits } from './delivery/occupancy.ts';
import { type DeliverySchedule, usualSchedule } from './delivery/schedule.ts';
import { createTellingStore } from './delivery/telling-store.ts';
import { type AddressPolicy, createAddressPolicy } from './egress/address-policy.ts';
import { createDial } from './egress/dial.ts';
import { createHttpClient } from './egress/http-client.ts';
import { createResolve, readHosts } from './egress/resolve.ts';
import { findUrlFault } from './egress/webhook-url.ts';
import { createEndpointStore } from './endpoints/endpoint-store.ts';
import { createEndpointsRpc } from './endpoints/endpoints.rpc.ts';
import { createFindStart } from './endpoints/find-start.ts';
import { createGetEndpoint } from './endpoints/get-endpoint.rpc.ts';
import { createHasEndpoints } from './endpoints/has-endpoints-store.ts';
import { createChangeEndpoint } from './endpoints/held-endpoint-store.ts';
import { createSecretStore } from './endpoints/secret-store.ts';
import { createSendTestEvent, type SendTestEvent } from './endpoints/send-test-event.ts';
import { createSweepEndpoints } from './endpoints/sweep-endpoints-store.ts';
import { createTestRequestStore } from './endpoints/test-request-store.ts';
import { createAttemptPartitions } from './log/attempt-partitions-store.ts';
import { createDeliveriesRpc } from './log/deliveries.rpc.ts';
import { toDeliveryId } from './log/delivery-id.ts';
import { createDeliveryLogStore } from './log/delivery-log-store.ts';
import { createLossesFeature } from './losses/losses.feature.ts';
import type { Losses } from './losses/losses.ts';
import { createCountMatching } from './replays/matching-store.ts';
import { createFindRange } from './replays/replay-range.ts';
import { createReplayStore } from './replays/replay-store.ts';
import { createReplaysRpc } from './replays/replays.rpc.ts';
import { createEncryption, type Encryption } from './signing/encryption.ts';
import { createHeadersFor } from './signing/request-headers.ts';
import { createSigningFaults } from './signing/signing-faults.ts';
import { webhookGauges } from './webhook-gauges.ts';

export interface WebhooksFeatureNeeds {
  readonly commits: CommitNews;
  readonly leftBehind: LeftBehind;
  readonly workspaces: { assertExists(id: string): Promise<void> };
  /** 32 bytes each, the newest first; none: no endpoint can be made. */
  readonly encryptionKeys: readonly Buffer[];
  readonly allowCidrs: readonly string[];
  readonly denyCidrs: readonly string[];
  readonly authorities: readonly string[];
  readonly logDays: number;
  readonly schedule?: DeliverySchedule;
  readonly tracing?: Tracing | undefined;
}

const lookEveryMs = 1_000;
const keepPartitionsEveryMs = 600_000;
const sweepEveryMs = 60_000;
const connectTimeoutMs = 10_000;
/** What is being sent when the process stops has this long to end; the rest is somebody else's. */
const stopGraceMs = 3_000;

export function createWebhooksFeature(deps: FeatureDeps, needs: WebhooksFeatureNeeds): Feature {
  const { schedule = usualSchedule } = needs;
  const policy = createAddressPolicy(needs);
  const encryption = createEncryption(needs.encryptionKeys);
  const sending = createSending(deps, { ...needs, policy, encryption, schedule });
  const { losses, loop } = createLossesFeature(deps, tellTo(needs.commits));
  const engine = createEngine(deps, { ...needs, courier: sending.courier, schedule, losses });
  needs.commits.listen(engine.wake);
  needs.leftBehind.add(createHasEndpoints(deps.database.statements));
  return {
    rpcs: [
      serve(
        WebhooksService,
        createRpcs(deps, { ...needs, ...sending, policy, encryption, engine }),
      ),
    ],
    gauges: webhookGauges(engine),
    loops: [...loopsOf(engine, schedule), ...keepingLoops(deps, needs), loop],
    async close() {
      await engine.stop(stopGraceMs);
      await sending.close();
    },
  };
}

interface SendingNeeds extends WebhooksFeatureNeeds {
  readonly policy: AddressPolicy;
  readonly encryption: Encryption;
  readonly schedule: DeliverySchedule;
}

/** What carries a request to its endpoint. */
function createSending({ log }: FeatureDeps, needs: SendingNeeds) {
  const { policy, encryption, authorities, schedule, tracing } = needs;
  const resolve = createResolve({ hosts: readHosts() });
  const client = createHttpClient(createDial({ policy, resolve, connectTimeoutMs, authorities }));
  const headersFor = createHeadersFor(encryption, createSigningFaults(log));
  const courier = createCourier({
    post: client.post,
    headersFor,
    bodyOf: createEventBodies(),
    deliveryId: toDeliveryId,
    schedule,
    tracing,
  });
  return { courier, close: client.close };
}

interface EngineNeeds extends WebhooksFeatureNeeds {
  readonly courier: Courier;
  readonly schedule: DeliverySchedule;
  readonly losses: Losses;
}

function createEngine(
  { database, report, observer, log, room }: FeatureDeps,
  needs: EngineNeeds,
): DeliveryEngine {
  const { courier, schedule, commits, losses } = needs;
  const { statements } = database;
  return createDeliveryEngine({
    store: createDeliveryStore(database, schedule),
    directory: createDirectory(createDirectoryStore(statements)),
    // Reads of its own: those who list and follow logs wait for none of them.
    log: createDeliveryLog({
      logs: createEventLogStore(statements),
      events: createEventStore(statements),
      failed: createFailedStore(statements),
    }),
    courier,
    schedule,
    newUuid: () => newUuid(statements.clock.nowMs()),
    telling: createTellingStore(database.inTransaction, schedule),
    skipLost: losses.skip,
    onSetBack: ({ workspaceId, ...sequences }) =>
      log.error(
        { workspace_id: workspaceId, ...sequences },
        'the log was set back: webhook endpoints go on at its end at the latest',
      ),
    onTold: tellTo(commits),
    report,
    observer,
    limits: { ...usualLimits, bytesMax: room.webhooks },
  });
}

/** Lets those who follow logs know of an event that the service has recorded itself. */
function tellTo(commits: CommitNews) {
  return (event: Event) => commits.tell(event.workspaceId, event.sequence, 'here', [event]);
}

interface RpcNeeds extends WebhooksFeatureNeeds {
  readonly policy: AddressPolicy;
  readonly encryption: Encryption;
  readonly courier: Courier;
  readonly engine: DeliveryEngine;
}

/** The RPCs of all floors, over the same endpoints. */
function createRpcs(deps: FeatureDeps, needs: RpcNeeds) {
  const { database, report } = deps;
  const { encryption, engine } = needs;
  const { statements } = database;
  const logs = createEventLogStore(statements);
  const onTouched = (id: string) =>
    void engine.touched([id]).catch(report('read a webhook endpoint again'));
  const change = createChangeEndpoint(database, onTouched);
  const store = createEndpointStore({ database, change, encryption, onTouched });
  const getEndpoint = createGetEndpoint(store);
  return {
    ...createEndpointsRpc({
      store,
      getEndpoint,
      secrets: createSecretStore(change, encryption),
      workspaces: needs.workspaces,
      findStart: createFindStart(logs),
      findUrlFault: (url) => findUrlFault(url, needs.policy, needs.allowCidrs.length > 0),
      sendTestEvent: createTestSending(deps, needs.courier),
    }),
    ...createDeliveriesRpc({ store: createDeliveryLogStore(statements), getEndpoint, onTouched }),
    ...createReplaysRpc({
      store: createReplayStore(database, change),
      getEndpoint,
      findRange: createFindRange(logs),
      countMatching: createCountMatching(statements),
    }),
  };
}

function createTestSending({ database, report }: FeatureDeps, courier: Courier): SendTestEvent {
  const { statements } = database;
  const directory = createDirectoryStore(statements);
  return createSendTestEvent({
    courier,
    findTarget: async (id) => (await directory.read([id])).targets[0],
    store: createTestRequestStore(statements),
    onError: report('end a test of a webhook endpoint'),
  });
}

function loopsOf(engine: DeliveryEngine, { leaseMs }: DeliverySchedule): Loop[] {
  return [
    {
      name: 'look after webhooks',
      intervalMs: lookEveryMs,
      round: (signal) => engine.look(signal),
    },
    { name: 'lease webhooks on', intervalMs: leaseMs / 4, round: () => engine.renew() },
  ];
}

/** What keeps the tables as long as they are to be. */
function keepingLoops({ database, log }: FeatureDeps, { logDays }: WebhooksFeatureNeeds): Loop[] {
  const partitions = createAttemptPartitions(database, logDays);
  return [
    {
      name: 'keep the partitions of webhook attempts',
      intervalMs: keepPartitionsEveryMs,
      async round() {
        const { made, dropped } = await partitions.keep();
        // Weeks ahead of their use: nothing to tell whoever has just started the service.
        if (made.length > 0) log.debug({ partitions: made }, 'made partitions of webhook attempts');
        if (dropped.length > 0) {
          log.info({ partitions: dropped }, 'dropped partitions of webhook attempts');
        }
      },
    },
    {
      name: 'sweep webhook endpoints',
      intervalMs: sweepEveryMs,
      round: createSweepEndpoints(database.statements, logDays),
    },
  ];
}
