import { ApiKeysService } from '../../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { type Feature, type FeatureDeps, serve } from '../feature.ts';
import { type ApiKeyStore, createApiKeyStore } from './api-key-store.ts';
import { type ApiKeysRpcDeps, createApiKeysRpc } from './api-keys.rpc.ts';
import { type Authenticator, createAuthenticator, processClock } from './authenticator.ts';
import { createLastUsed, type LastUsed } from './last-used.ts';
import { createStreamWatch, type StreamWatch } from './stream-watch.ts';

export interface ApiKeysFeature extends Feature {
  readonly store: ApiKeyStore;
  readonly authenticator: Authenticator;
  readonly lastUsed: LastUsed;
  readonly streamWatch: StreamWatch;
}

const noteUsesEveryMs = 10_000;
/** A stream ends within 5 s after its key was revoked. */
const checkKeysEveryMs = 2_000;

export function createApiKeysFeature(
  { database, report, room }: FeatureDeps,
  { assertWorkspacesExist }: Pick<ApiKeysRpcDeps, 'assertWorkspacesExist'>,
): ApiKeysFeature {
  const store = createApiKeyStore(database);
  const lastUsed = createLastUsed(store);
  const streamWatch = createStreamWatch(store);
  const noteUses = 'note uses of API keys';
  return {
    store,
    authenticator: createAuthenticator(store, processClock, room.keys),
    lastUsed,
    streamWatch,
    rpcs: [serve(ApiKeysService, createApiKeysRpc({ store, assertWorkspacesExist }))],
    loops: [
      { name: noteUses, intervalMs: noteUsesEveryMs, round: () => lastUsed.write() },
      {
        name: 'check the keys of streams',
        intervalMs: checkKeysEveryMs,
        round: () => streamWatch.check(),
      },
    ],
    close: () => lastUsed.write().catch(report(noteUses)),
  };
}
