import type { Stats } from 'node:fs';
import { constants } from 'node:fs';
import { access, chmod, lchown, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EmbeddedPostgresError, errorCode } from './error.ts';

/** A user that is not root, as PostgreSQL demands. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** The kernel's overflow user: `nobody` where `/etc/passwd` does not say otherwise. */
const NOBODY_ID = 65_534;

const isRoot = () => process.geteuid?.() === 0;

/**
 * Makes `directory` (mode 0700) when it is missing. What root makes belongs to the owner of the
 * nearest folder that was there before, so that a checkout started once with `sudo` stays usable
 * for its owner.
 */
export async function makeDirectory(directory: string): Promise<void> {
  const firstMade = await mkdir(directory, { recursive: true });
  if (firstMade === undefined) return;
  await chmod(directory, 0o700);
  if (!isRoot()) return;
  const owner = await stat(dirname(firstMade));
  for (let folder = directory; ; folder = dirname(folder)) {
    await lchown(folder, owner.uid, owner.gid);
    if (folder === firstMade) return;
  }
}

/**
 * The account PostgreSQL has to run as, or `undefined` for the account of this process. Root on
 * Linux gets the owner of `dataDir`, else the owner of `directory`, else `postgres`, else `nobody`.
 *
 * @throws EmbeddedPostgresError when the folders belong to somebody this process cannot become
 */
export async function chooseAccount(
  directory: string,
  dataDir: string,
): Promise<Account | undefined> {
  if (process.platform === 'win32') return undefined;
  if (!isRoot()) {
    await requireOwnFolder(directory, dataDir);
    return undefined;
  }
  if (process.platform !== 'linux') {
    throw new EmbeddedPostgresError(
      'PostgreSQL refuses to run as root: start the service as an ordinary user.',
    );
  }
  return chooseForRoot(await stat(directory), await statIfPresent(dataDir));
}

/**
 * Gives `folder` and all within to `account`. Only for trees that no other user can write to: the
 * walk goes by name.
 */
export async function giveTree(folder: string, account: Account): Promise<void> {
  for (const name of await readdir(folder, { recursive: true })) {
    await lchown(join(folder, name), account.uid, account.gid);
  }
  await lchown(folder, account.uid, account.gid);
}

/** The state of `path`, or `undefined` when there is nothing. */
export async function statIfPresent(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function chooseForRoot(directory: Stats, data: Stats | undefined): Promise<Account> {
  const users = await readUsers();
  const groupOf = (owner: Stats) =>
    users.find((user) => user.uid === owner.uid)?.gid ?? (owner.gid || NOBODY_ID);
  if (data !== undefined && data.uid !== 0) return { uid: data.uid, gid: groupOf(data) };
  // initdb looks its user up by number and fails for one that /etc/passwd does not list.
  const owner = users.find((user) => user.uid === directory.uid && user.uid !== 0);
  const service = ['postgres', 'nobody'].flatMap((name) =>
    users.filter((user) => user.name === name && user.uid !== 0),
  );
  const { uid, gid } = owner ?? service[0] ?? { uid: NOBODY_ID, gid: NOBODY_ID };
  return { uid, gid };
}

async function readUsers(): Promise<(Account & { name: string })[]> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return passwd.split('\n').flatMap((line) => {
    const [name = '', , uid = '', gid = ''] = line.split(':');
    return /^\d+$/.test(uid) && /^\d+$/.test(gid)
      ? [{ name, uid: Number(uid), gid: Number(gid) }]
      : [];
  });
}

async function requireOwnFolder(directory: string, dataDir: string): Promise<void> {
  const ownUid = process.geteuid?.();
  const refusal = (uid: number) =>
    new EmbeddedPostgresError(
      `The database folder ${directory} belongs to uid ${uid} and this process runs as uid ` +
        `${ownUid}: start it as that user, hand the folder over with ` +
        `"sudo chown -R ${ownUid} '${directory}'", or delete it to begin with an empty database.`,
    );
  const writable = constants.R_OK | constants.W_OK | constants.X_OK;
  const usable = await access(directory, writable).then(
    () => true,
    () => false,
  );
  if (!usable) throw refusal((await stat(directory)).uid);
  const data = await statIfPresent(dataDir).catch(async () => stat(dirname(dataDir)));
  if (data !== undefined && data.uid !== ownUid) throw refusal(data.uid);
}
