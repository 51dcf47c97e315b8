import { readFile } from 'node:fs/promises';
import { readConfig } from '../config.ts';
import { type Database, openDatabase } from '../database/database.ts';
import { embeddedUrlFile } from '../service-database.ts';
import { explainStartError } from '../start-errors.ts';

/** Runs a command on the database of DATABASE_URL, or of the quick start that is running here. */
export async function withDatabase<T>(work: (database: Database) => Promise<T>): Promise<T> {
  const config = readConfig();
  const url = config.databaseUrl ?? (await findEmbeddedUrl(embeddedUrlFile(config)));
  const database = await openDatabase({
    url,
    poolSize: 2,
    applicationName: 'harbor-cli',
    onNotice: () => undefined,
  });
  try {
    return await work(database);
  } catch (error) {
    throw new Error(explainStartError(error, { ...config, databaseUrl: url }), { cause: error });
  } finally {
    await database.close();
  }
}

async function findEmbeddedUrl(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    throw new Error('no database: set DATABASE_URL, or run "npm start" in this checkout first');
  }
}
