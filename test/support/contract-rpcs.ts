import type { DescMethod } from '@bufbuild/protobuf';
import { ApiKeysService } from '../../gen/typescript/harbor/api_keys/v1/api_keys_service_pb.ts';
import { AuditService } from '../../gen/typescript/harbor/audit/v1/audit_service_pb.ts';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { WebhooksService } from '../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { WorkspacesService } from '../../gen/typescript/harbor/workspaces/v1/workspaces_service_pb.ts';

const services = [ApiKeysService, AuditService, EventsService, WebhooksService, WorkspacesService];

/** Every RPC of the contract. */
export const contractRpcs: readonly DescMethod[] = services.flatMap(
  ({ methods }): readonly DescMethod[] => methods,
);
