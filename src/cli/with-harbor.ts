import { Harbor } from '../../sdk/src/index.ts';
import { readConfig } from '../config.ts';
import { readDevEnv } from '../dev-env.ts';

/** The service that a command talks to, and the workspace where none is named. */
export interface HarborTarget {
  readonly harbor: Harbor;
  readonly workspaceId: string;
  /** The API key that it is called with. */
  readonly secretKey: string;
}

/** What belongs together: a key must reach no other service than its own. */
interface Source {
  readonly HARBOR_BASE_URL?: string | undefined;
  readonly HARBOR_SECRET_KEY?: string | undefined;
  readonly HARBOR_WORKSPACE_ID?: string | undefined;
}

/**
 * Connects with HARBOR_BASE_URL and HARBOR_SECRET_KEY, or, where neither these nor HARBOR_WORKSPACE_ID are
 * set, with what the quick start of this checkout wrote.
 */
export async function openHarbor(): Promise<Harbor> {
  return connect(await readSource()).harbor;
}

/** The same, with the workspace given, or else from where address and key are. */
export async function openWorkspace(workspace: string | undefined): Promise<HarborTarget> {
  const source = await readSource();
  const { harbor, secretKey } = connect(source);
  const workspaceId = workspace ?? source.HARBOR_WORKSPACE_ID;
  if (workspaceId === undefined) {
    throw new Error('no workspace: pass --workspace or set HARBOR_WORKSPACE_ID');
  }
  return { harbor, workspaceId, secretKey };
}

async function readSource(): Promise<Source> {
  const { baseUrl, secretKey, workspaceId, dataDirectory } = readConfig();
  const environment = {
    HARBOR_BASE_URL: baseUrl,
    HARBOR_SECRET_KEY: secretKey,
    HARBOR_WORKSPACE_ID: workspaceId,
  };
  const set = Object.entries(environment).flatMap(([name, value]) => (value ? [name] : []));
  if (set.length === 0) return readDevEnv(dataDirectory);
  const missing = ['HARBOR_BASE_URL', 'HARBOR_SECRET_KEY'].filter((name) => !set.includes(name));
  if (missing.length === 0) return environment;
  throw new Error(
    `${set.join(' and ')} ${set.length === 1 ? 'is' : 'are'} set without ${missing.join(' and ')}: set HARBOR_BASE_URL and HARBOR_SECRET_KEY ` +
      'together, or none of them to use the quick start of this checkout',
  );
}

function connect({ HARBOR_BASE_URL: baseUrl, HARBOR_SECRET_KEY: secretKey }: Source) {
  if (baseUrl === undefined || secretKey === undefined) {
    throw new Error(
      'no service: set HARBOR_BASE_URL and HARBOR_SECRET_KEY, or run "npm start" in this checkout first',
    );
  }
  const options = { payloadKeys: 'preserve', payloadIntegers: 'any' } as const;
  return { harbor: new Harbor({ baseUrl, secretKey, ...options }), secretKey };
}
