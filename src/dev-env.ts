import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseEnv } from 'node:util';

/** The file in which the quick start leaves its address, key and workspace, for shells and the CLI. */
export function devEnvFile(dataDirectory: string): string {
  return join(dataDirectory, 'dev.env');
}

/** What the quick start of this data folder wrote; empty when there is none. */
export async function readDevEnv(dataDirectory: string): Promise<NodeJS.Dict<string>> {
  return parseEnv(await readFile(devEnvFile(dataDirectory), 'utf8').catch(() => ''));
}
