import { byteaArray, uuidArray } from '../../database/binary-arrays.ts';
import type { Database } from '../../database/database.ts';
import type { Transaction } from '../../database/transaction.ts';
import { type Encryption, EncryptionKeyMissing, type Place } from './encryption.ts';
import { headersPlace, secretPlace } from './places.ts';
import {
  countByKeyStatement,
  lockOutdatedStatement,
  readSecretsStatement,
  touchStatement,
  writeHeadersStatement,
  writeSecretsStatement,
} from './reencrypt-statements.ts';

export interface Reencryption {
  /** Ciphertexts that are by the newest key now, and were not. */
  readonly reencrypted: number;
  /** What is damaged, or stands where it does not belong, as `table.column of row`. */
  readonly damaged: readonly string[];
  /** How many are by each key, the newest among them; a key that is not there encrypts nothing. */
  readonly countByKey: ReadonlyMap<string, number>;
}

const firstId = '00000000-0000-0000-0000-000000000000';
const endpointsAtOnce = 100;
const countTimeoutMs = 60_000;

/**
 * Encrypts by the newest key whatever is not: 100 endpoints at a time in a transaction of their own, so that nobody waits
 * for long, and an end in between costs nothing.
 *
 * @throws EncryptionKeyMissing where there is no key at all.
 */
export async function reencrypt(
  { inTransaction, statements }: Pick<Database, 'inTransaction' | 'statements'>,
  encryption: Encryption,
): Promise<Reencryption> {
  const [newest] = encryption.keyNames;
  if (newest === undefined) throw new EncryptionKeyMissing('HARBOR_ENCRYPTION_KEY is not set');
  const damaged: string[] = [];
  let reencrypted = 0;
  let afterId: string | undefined = firstId;
  while (afterId !== undefined) {
    const from: string = afterId;
    const batch: Batch = await inTransaction((tx) =>
      reencryptBatch(tx, { encryption, newest, afterId: from }),
    );
    reencrypted += batch.reencrypted;
    damaged.push(...batch.damaged);
    afterId = batch.lastId;
  }
  const counts = await statements.run<{ key_name: string; count: number }>(
    countByKeyStatement,
    [],
    countTimeoutMs,
  );
  return {
    reencrypted,
    damaged,
    countByKey: new Map(counts.map(({ key_name, count }) => [key_name, count])),
  };
}

interface Batch {
  readonly reencrypted: number;
  readonly damaged: readonly string[];
  /** Undefined: there are no more. */
  readonly lastId: string | undefined;
}

interface BatchRange {
  readonly encryption: Encryption;
  readonly newest: string;
  readonly afterId: string;
}

async function reencryptBatch(
  tx: Transaction,
  { encryption, newest, afterId }: BatchRange,
): Promise<Batch> {
  const keyName = Buffer.from(newest, 'hex');
  const endpoints = await tx.run<{ id: string; headers: Buffer | null }>(lockOutdatedStatement, [
    afterId,
    keyName,
    endpointsAtOnce,
  ]);
  const ids = endpoints.map(({ id }) => id);
  const secrets = await tx.run<{ id: string; ciphertext: Buffer }>(readSecretsStatement, [
    uuidArray(ids),
    keyName,
  ]);
  const newSecrets = renew(
    encryption,
    secrets.map(({ id, ciphertext }) => ({ id, ciphertext, place: secretPlace(id) })),
  );
  const newHeaders = renew(
    encryption,
    endpoints.flatMap(({ id, headers }) =>
      headers === null || encryption.isCurrent(headers)
        ? []
        : [{ id, ciphertext: headers, place: headersPlace(id) }],
    ),
  );
  await tx.run(writeSecretsStatement, toColumns(newSecrets.rows));
  await tx.run(writeHeadersStatement, toColumns(newHeaders.rows));
  await tx.run(touchStatement, [uuidArray(ids)]);
  return {
    reencrypted: newSecrets.rows.length + newHeaders.rows.length,
    damaged: [...newSecrets.damaged, ...newHeaders.damaged],
    lastId: endpoints.length < endpointsAtOnce ? undefined : ids.at(-1),
  };
}

interface CiphertextRow {
  readonly id: string;
  readonly ciphertext: Buffer;
  readonly place: Place;
}

/** What this process lacks the key of stays as it is. */
function renew(encryption: Encryption, given: readonly CiphertextRow[]) {
  const rows: { readonly id: string; readonly ciphertext: Buffer }[] = [];
  const damaged: string[] = [];
  for (const { id, ciphertext, place } of given) {
    try {
      const text = encryption.decrypt(ciphertext, place);
      if (text !== undefined) rows.push({ id, ciphertext: encryption.encrypt(text, place) });
    } catch {
      damaged.push(`${place.table}.${place.column} of ${id}`);
    }
  }
  return { rows, damaged };
}

function toColumns(rows: readonly { readonly id: string; readonly ciphertext: Buffer }[]) {
  return [
    uuidArray(rows.map(({ id }) => id)),
    byteaArray(rows.map(({ ciphertext }) => ciphertext)),
  ];
}
