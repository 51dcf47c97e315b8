import { createPartition } from '../../src/database/partitions/partition-statements.ts';
import { type PartitionPeriod, partitionsFrom } from '../../src/database/partitions/period.ts';
import type { TestDatabase } from './test-database.ts';

/** Makes the partition of a time, as the service did then; its name. */
export async function makePartition(
  database: TestDatabase,
  at: Date,
  period: PartitionPeriod = 'quarter',
): Promise<string> {
  const [planned] = partitionsFrom(period, at, 0);
  if (planned === undefined) throw new Error('there is a partition of every time');
  await createPartition((text) => database.query(text), planned);
  return planned.name;
}

/** SQL for a UUIDv7 of a time, given in SQL as well. */
export function uuidSqlAt(time: string): string {
  return `(lpad(to_hex((extract(epoch from ${time}) * 1000)::bigint), 12, '0')
    || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid`;
}
