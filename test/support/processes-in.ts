import { readdirSync, readlinkSync } from 'node:fs';

/** The processes that work in `folder` or below it, by Linux's `/proc`: a PostgreSQL, its initdb. */
export function processesIn(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readlinkSync(`/proc/${name}/cwd`).startsWith(folder);
      } catch {
        return false;
      }
    })
    .map(Number);
}
