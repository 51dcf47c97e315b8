import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import { allScopes, hashSecret, hasScope, issueApiKey } from './api-keys/index.ts';
import type { App } from './app.ts';
import { devEnvFile, readDevEnv } from './dev-env.ts';
import { WorkspaceAlreadyExists } from './workspaces/index.ts';

/** The workspace of the public page's examples. */
export const quickStartWorkspaceId = 'ws_018f3a2e4b9c';

/** What a newcomer needs to make the first call. */
export interface QuickStart {
  readonly baseUrl: string;
  readonly secretKey: string;
  readonly workspaceId: string;
  /** Undefined: there are none. */
  readonly metricsUrl: string | undefined;
}

/** Makes the workspace and a secret key when they are missing, and writes them to `dev.env` (0600). */
export async function prepareQuickStart(
  app: App,
  options: { dataDirectory: string; tls: boolean },
): Promise<QuickStart> {
  const devEnv = devEnvFile(options.dataDirectory);
  await makeWorkspace(app);
  const secretKey = (await findSecretKey(app, options.dataDirectory)) ?? (await makeSecretKey(app));
  const baseUrl = baseUrlOf(app.address, options.tls);
  const metricsUrl = app.metricsAddress && `${baseUrlOf(app.metricsAddress, false)}/metrics`;
  const facts = { baseUrl, secretKey, workspaceId: quickStartWorkspaceId, metricsUrl };
  await mkdir(options.dataDirectory, { recursive: true });
  await writeDevEnv(devEnv, facts);
  return facts;
}

/** What to do next, for a person who has just started the service. */
export function describeQuickStart(facts: QuickStart, devEnvPath: string): string {
  const { baseUrl, secretKey, workspaceId, metricsUrl } = facts;
  const body = JSON.stringify({
    workspace_id: workspaceId,
    type: 'invoice.paid',
    payload: { invoice_id: 'inv_0192ac4e8b1d', amount_cents: 4200 },
  });
  return `
Harbor Events is ready at ${baseUrl}

  secret key   ${secretKey}
  workspace    ${workspaceId}
  (also in ${devEnvPath})
  metrics      ${metricsUrl ?? 'are off (METRICS_PORT=9464 npm start turns them on)'}
  webhooks     may also go to this machine, and to no private network (WEBHOOK_ALLOW_CIDRS changes it)

Create an event:

curl -s ${baseUrl}/v1/events \\
  -H 'authorization: Bearer ${secretKey}' \\
  -H 'content-type: application/json' \\
  -H 'idempotency-key: inv_0192ac4e8b1d-paid' \\
  -d '${body}'

Run it twice: the same event comes back. Ctrl-C stops the service; events are kept.

`;
}

async function makeWorkspace(app: App): Promise<void> {
  try {
    await app.workspaces.create(quickStartWorkspaceId, 'Quick start');
  } catch (error) {
    if (!(error instanceof WorkspaceAlreadyExists)) throw error;
  }
}

async function makeSecretKey(app: App): Promise<string> {
  const { secret } = await issueApiKey(app.apiKeys, {
    kind: 'secret',
    displayName: 'Quick start',
    scopes: [allScopes],
    workspaceIds: [],
    typePatterns: [],
    expiresAt: undefined,
  });
  return secret;
}

/**
 * The key of an earlier start, if this database still knows it and it may do everything. One that was made
 * before there was the scope `all` goes on working as it is, but the next start hands out another.
 */
async function findSecretKey(app: App, dataDirectory: string): Promise<string | undefined> {
  const { HARBOR_SECRET_KEY: secret } = await readDevEnv(dataDirectory);
  if (secret === undefined) return undefined;
  const caller = await app.apiKeys.findCaller(hashSecret(secret));
  if (caller === undefined || caller.kind !== 'secret') return undefined;
  return hasScope(caller, allScopes) ? secret : undefined;
}

async function writeDevEnv(path: string, facts: QuickStart): Promise<void> {
  const text = `HARBOR_BASE_URL=${facts.baseUrl}
HARBOR_SECRET_KEY=${facts.secretKey}
HARBOR_WORKSPACE_ID=${facts.workspaceId}
`;
  const partial = `${path}.partial`;
  await writeFile(partial, text, { mode: 0o600 });
  await chmod(partial, 0o600);
  await rename(partial, path);
}

function baseUrlOf({ host, port }: App['address'], tls: boolean): string {
  const everywhere = host === '0.0.0.0' || host === '::';
  const name = everywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `${tls ? 'https' : 'http'}://${name}:${port}`;
}
