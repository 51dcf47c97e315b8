import { Command } from 'commander';
import { readConfig } from '../config.ts';
import { readQuickStartKeys } from '../quick-start-webhooks.ts';
import type { Reencryption } from '../webhooks/index.ts';
import { withDatabase } from './with-database.ts';

export function reencryptCommand(): Command {
  return new Command('reencrypt')
    .description(
      'encrypt the secrets and headers of endpoints by the first key of HARBOR_ENCRYPTION_KEY, and tell which of its ' +
        'other keys can go',
    )
    .action(reencryptAll);
}

async function reencryptAll(): Promise<void> {
  // Loaded only here: the other commands need nothing of the service's webhooks.
  const { createEncryption, reencrypt } = await import('../webhooks/index.ts');
  const { webhooks, dataDirectory } = readConfig();
  const { encryptionKeys: given } = webhooks;
  // As the service of a quick start does: its own key where none is given.
  const keys = given.length > 0 ? given : await readQuickStartKeys(dataDirectory);
  const encryption = createEncryption(keys);
  if (!encryption.canEncrypt) {
    throw new Error('HARBOR_ENCRYPTION_KEY is not set: start this with the keys of the service');
  }
  const result = await withDatabase((database) => reencrypt(database, encryption));
  const [newest = '', ...older] = encryption.keyNames;
  process.stdout.write(
    `${[
      `${result.reencrypted} re-encrypted by the newest key, ${newest}`,
      ...older.map((name) => describeOlder(name, result.countByKey.get(name) ?? 0)),
    ].join('\n')}\n`,
  );
  const faults = findFaults(result, encryption.keyNames);
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

function describeOlder(name: string, count: number): string {
  return count === 0
    ? `the key ${name} can go: nothing is encrypted by it; take it away once every process was started with the newest one first`
    : `the key ${name} is still needed: ${count} are by it; run this once more`;
}

/** What nobody can read with the keys that there are. */
function findFaults({ countByKey, damaged }: Reencryption, keyNames: readonly string[]): string[] {
  const missing = [...countByKey].filter(([name]) => !keyNames.includes(name));
  return [
    ...missing.map(
      ([name, count]) =>
        `${count} are by the key ${name}, which is not in HARBOR_ENCRYPTION_KEY: put it back, or rotate those secrets`,
    ),
    ...damaged.map((place) => `damaged: ${place}`),
  ];
}
