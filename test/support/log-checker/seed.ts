import { createApiKeyStore, issueApiKey } from '../../../src/api-keys/index.ts';
import { openDatabase } from '../../../src/database/database.ts';
import { migrate } from '../../../src/database/migrate.ts';
import { createWorkspaceStore } from '../../../src/workspaces/index.ts';

/** Migrates an empty database, makes a workspace, and returns a secret key that may do everything. */
export async function seedDatabase(databaseUrl: string, workspaceId: string): Promise<string> {
  const database = await openDatabase({
    url: databaseUrl,
    poolSize: 2,
    applicationName: 'harbor-log-checker',
    onNotice: () => undefined,
  });
  try {
    await migrate(database);
    await createWorkspaceStore(database).create(workspaceId, '');
    const apiKeys = createApiKeyStore(database);
    const { secret } = await issueApiKey(apiKeys, {
      kind: 'secret',
      displayName: 'log checker',
      scopes: [],
      workspaceIds: [],
      typePatterns: [],
      expiresAt: undefined,
    });
    return secret;
  } finally {
    await database.close();
  }
}
