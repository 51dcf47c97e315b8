import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** A folder for what another toolchain has built and would build again; outside the checkout. */
export async function toolCache(name: string): Promise<string> {
  const caches = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const directory = join(caches, 'harbor-events', name);
  await mkdir(directory, { recursive: true });
  return directory;
}
