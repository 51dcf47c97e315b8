import type { Statement } from './statements.ts';
import type { Transaction } from './transaction.ts';

const readClockStatement: Statement = {
  name: 'harbor_read_clock',
  text: 'select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms',
};

/** The database's clock at this moment, by which all processes judge what has expired; in whole milliseconds. */
export async function readClock(tx: Transaction): Promise<Date> {
  const [row] = await tx.run<{ now_ms: number }>(readClockStatement, []);
  if (row === undefined) throw new Error('a select without a from has one row');
  return new Date(Math.floor(row.now_ms));
}
