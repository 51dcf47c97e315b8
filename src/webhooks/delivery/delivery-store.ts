import type { StatementRunner } from '../../database/statements.ts';
import type { InTransaction } from '../../database/transaction.ts';
import { createMoveStore } from './move-store.ts';
import { createRecordStore } from './record-store.ts';
import type { DeliverySchedule } from './schedule.ts';
import { createSetBackStore } from './set-back-store.ts';
import { createSubjectStore } from './subject-store.ts';
import { createWorkStore } from './work-store.ts';

/** The SQL of deliveries. All of it throws DatabaseUnavailable and DatabaseContended. */
export interface DeliveryStore
  extends ReturnType<typeof createMoveStore>,
    ReturnType<typeof createSubjectStore>,
    ReturnType<typeof createRecordStore>,
    ReturnType<typeof createSetBackStore>,
    ReturnType<typeof createWorkStore> {}

export interface DeliveryDatabase {
  readonly statements: StatementRunner;
  readonly inTransaction: InTransaction;
}

export function createDeliveryStore(
  { statements, inTransaction }: DeliveryDatabase,
  schedule: DeliverySchedule,
): DeliveryStore {
  return {
    ...createMoveStore(statements, schedule),
    ...createSubjectStore(inTransaction, schedule),
    ...createRecordStore(statements, inTransaction, schedule),
    ...createSetBackStore(inTransaction),
    ...createWorkStore(statements, inTransaction, schedule),
  };
}
