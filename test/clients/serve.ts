import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueApiKey } from '../../src/api-keys/index.ts';
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';
import { createLog } from '../../src/log.ts';

/** The service, for clients in processes of their own. */
export interface Served extends AsyncDisposable {
  readonly baseUrl: string;
  readonly secretKey: string;
  /** Makes a workspace without events, and returns its id. */
  newWorkspace(): Promise<string>;
}

/** Starts the service on a free port, with a PostgreSQL of its own; errors go to standard error. */
export async function serve(): Promise<Served> {
  await using started = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'harbor-served-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({ directory, database: 'harbor', settings: {} });
  started.defer(() => postgres.stop());
  const log = createLog('error', { write: (line) => void process.stderr.write(line) });
  const app = await startApp(readConfig({ PORT: '0' }), postgres.url, log);
  started.defer(() => app.stop());
  const { secret } = await issueApiKey(app.apiKeys, {
    kind: 'secret',
    displayName: '',
    scopes: [],
    workspaceIds: [],
    typePatterns: [],
    expiresAt: undefined,
  });
  const cleanup = started.move();
  let workspaces = 0;
  return {
    baseUrl: `http://${app.address.host}:${app.address.port}`,
    secretKey: secret,
    async newWorkspace() {
      const id = `ws_client${++workspaces}`;
      await app.workspaces.create(id, '');
      return id;
    },
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}
