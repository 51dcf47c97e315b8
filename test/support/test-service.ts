import { type Grant, issueApiKey } from '../../src/api-keys/index.ts';
import { type App, startApp } from '../../src/app.ts';
import { type Config, readConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { createTestDatabase, type TestDatabase } from './test-database.ts';

/** A service in this process, on a database of its own and a free port. */
export interface TestService {
  readonly app: App;
  readonly database: TestDatabase;
  readonly baseUrl: string;
  readonly host: string;
  readonly port: number;
  /** A secret key that may do everything, and the workspace `ws_test`. */
  readonly secretKey: string;
  readonly workspaceId: string;
  /** The lines that were logged so far. */
  readonly logLines: Record<string, unknown>[];
  /** Makes a key and returns its secret. */
  issueKey(grant: Partial<Grant>): Promise<string>;
  stop(): Promise<void>;
}

export const testWorkspaceId = 'ws_test';

/** @param overrides of the configuration, and a database that is shared with another service. */
export async function startTestService(
  overrides: Partial<Config> = {},
  shared?: TestDatabase,
): Promise<TestService> {
  const database = shared ?? (await createTestDatabase());
  const logLines: Record<string, unknown>[] = [];
  const log = createLog('info', { write: (line) => void logLines.push(JSON.parse(line)) });
  const config = { ...readConfig({ PORT: '0' }), ...overrides };
  const app = await startApp(config, database.url, log);
  if ((await app.workspaces.find(testWorkspaceId)) === undefined) {
    await app.workspaces.create(testWorkspaceId, '');
  }
  const issueKey = async (grant: Partial<Grant>) => {
    const issued = await issueApiKey(app.apiKeys, {
      kind: 'restricted',
      displayName: '',
      scopes: [],
      workspaceIds: [],
      typePatterns: [],
      expiresAt: undefined,
      ...grant,
    });
    return issued.secret;
  };
  const { host, port } = app.address;
  return {
    app,
    database,
    baseUrl: `${config.tls ? 'https' : 'http'}://${host}:${port}`,
    host,
    port,
    secretKey: await issueKey({ kind: 'secret', scopes: ['all'] }),
    workspaceId: testWorkspaceId,
    logLines,
    issueKey,
    async stop() {
      await app.stop();
      if (shared === undefined) await database.drop();
    },
  };
}
