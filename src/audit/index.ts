export { createAuditFeature } from './audit.feature.ts';
export type { AuditReaders } from './audit.rpc.ts';
export {
  type Actor,
  type AuditAction,
  type AuditedChange,
  type AuditRecord,
  findDifferences,
  operator,
} from './audit-record.ts';
export { type AuditStore, createAuditStore, recordAudit } from './audit-store.ts';
