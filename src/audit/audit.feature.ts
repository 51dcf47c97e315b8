import { AuditService } from '../../gen/typescript/harbor/audit/v1/audit_service_pb.ts';
import { type Feature, type FeatureDeps, serve } from '../feature.ts';
import { type AuditReaders, createAuditRpc } from './audit.rpc.ts';
import { createAuditStore } from './audit-store.ts';

export function createAuditFeature({ database }: FeatureDeps, readers: AuditReaders): Feature {
  const store = createAuditStore(database);
  return { rpcs: [serve(AuditService, createAuditRpc(store, readers))], loops: [] };
}
