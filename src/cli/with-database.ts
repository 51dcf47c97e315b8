import { readFile } from 'node:fs/promises';
import { type Config, readConfig } from '../config.ts';
import { type Database, openDatabase } from '../database/database.ts';
import { readDevEnv } from '../dev-env.ts';
import { embeddedUrlFile } from '../service-database.ts';
import { explainStartError } from '../start-errors.ts';

/** Runs a command on the database of DATABASE_URL, or of the quick start that is running here. */
export async function withDatabase<T>(work: (database: Database) => Promise<T>): Promise<T> {
  const config = readConfig();
  const { url, source } = await findDatabase(config);
  const database = await openDatabase({
    url,
    poolSize: 2,
    applicationName: 'harbor-cli',
    onNotice: () => undefined,
  });
  try {
    return await work(database);
  } catch (error) {
    const at = { ...config, databaseUrl: url, databaseSource: source };
    throw new Error(explainStartError(error, at), { cause: error });
  } finally {
    await database.close();
  }
}

/** Past a pooler, where there is one: a command needs a session or two, and a migration keeps one. */
async function findDatabase(config: Config): Promise<{ url: string; source: string }> {
  const { databaseUrl, databaseDirectUrl } = config;
  if (databaseDirectUrl !== undefined) {
    return { url: databaseDirectUrl, source: 'DATABASE_DIRECT_URL' };
  }
  if (databaseUrl !== undefined) return { url: databaseUrl, source: 'DATABASE_URL' };
  return { url: await findEmbeddedUrl(config), source: 'of the quick start' };
}

/** A key that is made for one service must not be made in the database of another one. */
async function findEmbeddedUrl(config: Config): Promise<string> {
  const { HARBOR_BASE_URL: quickStartUrl } = await readDevEnv(config.dataDirectory);
  if (config.baseUrl !== undefined && config.baseUrl !== quickStartUrl) {
    throw new Error(
      'HARBOR_BASE_URL is set without DATABASE_URL, and is not that of the quick start of this checkout: set ' +
        'the DATABASE_URL of that service, or leave both out',
    );
  }
  try {
    return await readFile(embeddedUrlFile(config), 'utf8');
  } catch {
    throw new Error('no database: set DATABASE_URL, or run "npm start" in this checkout first');
  }
}
