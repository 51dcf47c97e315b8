import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { Harbor } from '../../sdk/src/index.ts';
import { readConfig } from '../config.ts';

/** The service that a command talks to, and the workspace where none is named. */
export interface HarborTarget {
  readonly harbor: Harbor;
  readonly workspaceId: string;
}

/** Connects with HARBOR_BASE_URL and HARBOR_SECRET_KEY, or with what the quick start of this checkout wrote. */
export async function openHarbor(workspace: string | undefined): Promise<HarborTarget> {
  const config = readConfig();
  const devEnv = await readDevEnv(config.dataDirectory);
  const baseUrl = config.baseUrl ?? devEnv.HARBOR_BASE_URL;
  const secretKey = config.secretKey ?? devEnv.HARBOR_SECRET_KEY;
  const workspaceId = workspace ?? config.workspaceId ?? devEnv.HARBOR_WORKSPACE_ID;
  if (secretKey === undefined) {
    throw new Error('no API key: set HARBOR_SECRET_KEY, or run "npm start" in this checkout first');
  }
  if (workspaceId === undefined) {
    throw new Error('no workspace: pass --workspace or set HARBOR_WORKSPACE_ID');
  }
  const options = { secretKey, payloadKeys: 'preserve' as const };
  const harbor = new Harbor(baseUrl === undefined ? options : { ...options, baseUrl });
  return { harbor, workspaceId };
}

async function readDevEnv(dataDirectory: string): Promise<NodeJS.Dict<string>> {
  const text = await readFile(join(dataDirectory, 'dev.env'), 'utf8').catch(() => '');
  return parseEnv(text);
}
