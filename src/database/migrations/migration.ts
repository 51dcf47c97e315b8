import type { PartitionPeriod } from '../partitions/period.ts';
import type { SchemaSession } from '../schema-session.ts';

/** A change of the schema, in steps that are done one after the other and each of them once. */
export interface Migration {
  /** Stored; never changes. */
  readonly name: string;
  /**
   * The oldest migration that a program must know to work while this one runs and after it: its own name
   * where earlier programs do not, and they have to be stopped.
   */
  readonly worksFrom: string;
  readonly steps: readonly Step[];
}

/** What a migration is told from outside. */
export interface MigrationOptions {
  /** Where events are not in partitions yet: what each shall hold. */
  readonly eventPartitions: PartitionPeriod;
}

export type Step = TransactionStep | IndexStep;

/** All of it or nothing, in a transaction that also records it. */
export interface TransactionStep {
  /** Stored; unique in its migration. */
  readonly name: string;
  readonly run: (session: SchemaSession, options: MigrationOptions) => Promise<void>;
}

/** An index that is built while the table is written to, however large it is. */
export interface IndexStep {
  readonly name: string;
  readonly index: string;
  /** What follows its name, such as `on events (type)`. */
  readonly definition: string;
}

/** A step of plain statements. Where it locks several tables, it locks them all in its first one. */
export function statements(name: string, ...texts: readonly string[]): TransactionStep {
  return {
    name,
    async run(session) {
      for (const text of texts) await session.query(text);
    },
  };
}
