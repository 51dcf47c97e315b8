import { lookup } from 'node:dns/promises';
import type { CommitNews, EventLogStore, EventStore } from '../events/index.ts';
import type { Feature, FeatureDeps } from '../feature.ts';
import { newUuid } from '../type-id.ts';
import { createCourier } from './delivery/courier.ts';
import { createDeliveryLog } from './delivery/delivery-log.ts';
import { createDeliveryStore } from './delivery/delivery-store.ts';
import { createDirectory } from './delivery/directory.ts';
import { createDirectoryStore } from './delivery/directory-store.ts';
import { createDeliveryEngine } from './delivery/engine.ts';
import { createEventBodies } from './delivery/event-body.ts';
import { createFailedStore } from './delivery/failed-store.ts';
import { type DeliverySchedule, usualSchedule } from './delivery/schedule.ts';
import { createTellingStore } from './delivery/telling-store.ts';
import { createAddressPolicy } from './egress/address-policy.ts';
import { createDial } from './egress/dial.ts';
import { createHttpClient } from './egress/http-client.ts';
import { toDeliveryId } from './log/delivery-id.ts';
import { createEncryption } from './signing/encryption.ts';
import { createHeadersFor } from './signing/request-headers.ts';

export interface WebhooksFeatureNeeds {
  readonly commits: CommitNews;
  readonly logs: Pick<EventLogStore, 'read' | 'find' | 'fetch' | 'findTypes'>;
  readonly events: Pick<EventStore, 'read'>;
  /** 32 bytes each, the newest first. */
  readonly encryptionKeys: readonly Buffer[];
  readonly allowCidrs: readonly string[];
  readonly denyCidrs: readonly string[];
  readonly authorities: readonly string[];
  readonly schedule?: DeliverySchedule;
}

const lookEveryMs = 1_000;
const connectTimeoutMs = 10_000;
/** What is being sent when the process stops has this long to end; the rest is somebody else's. */
const stopGraceMs = 3_000;

export function createWebhooksFeature(deps: FeatureDeps, needs: WebhooksFeatureNeeds): Feature {
  const { database, log, report } = deps;
  const { schedule = usualSchedule } = needs;
  const store = createDeliveryStore(database, schedule);
  const directory = createDirectory(createDirectoryStore(database.statements));
  const client = createHttpClient(
    createDial({
      policy: createAddressPolicy(needs),
      resolve: (hostname) => lookup(hostname, { all: true }),
      connectTimeoutMs,
      authorities: needs.authorities,
    }),
  );
  const headersFor = createHeadersFor(createEncryption(needs.encryptionKeys), (target, keyName) =>
    log.error(
      { endpoint: target.id, keyName },
      'no encryption key for the secrets of a webhook endpoint',
    ),
  );
  const engine = createDeliveryEngine({
    store,
    directory,
    log: createDeliveryLog({ ...needs, failed: createFailedStore(database.statements) }),
    courier: createCourier({
      post: client.post,
      headersFor,
      bodyOf: createEventBodies(),
      deliveryId: toDeliveryId,
      schedule,
    }),
    schedule,
    newUuid,
    telling: createTellingStore(database.inTransaction, schedule),
    onTold: ({ workspaceId, sequence }) => needs.commits.tell(workspaceId, sequence, 'here'),
    report,
  });
  needs.commits.listen(engine.wake);
  return {
    rpcs: [],
    loops: [
      {
        name: 'look after webhooks',
        intervalMs: lookEveryMs,
        round: (signal) => engine.look(signal),
      },
      { name: 'lease webhooks on', intervalMs: schedule.leaseMs / 4, round: () => engine.renew() },
    ],
    async close() {
      await engine.stop(stopGraceMs);
      await client.close();
    },
  };
}
