import { hash } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  WebhookDisabledReason,
  type WebhookEndpointSchema,
  WebhookEndpointStatus,
  WebhookOrdering,
  WebhookStandingReason,
} from '../../../gen/typescript/harbor/webhooks/v1/webhook_endpoint_pb.ts';
import type {
  CreateWebhookEndpointRequest,
  UpdateWebhookEndpointRequest,
} from '../../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { toDate } from '../../timestamp.ts';
import type { EndpointUpdate } from './endpoint-store.ts';
import {
  checkHeaders,
  type EndpointSettings,
  maxInFlightUsual,
  type Ordering,
  type StartFrom,
  timeoutMsUsual,
  type WebhookEndpoint,
} from './webhook-endpoint.ts';

const statuses = {
  enabled: WebhookEndpointStatus.ENABLED,
  paused: WebhookEndpointStatus.PAUSED,
  disabled: WebhookEndpointStatus.DISABLED,
} as const;

const reasons = {
  gone: WebhookDisabledReason.GONE,
  failing: WebhookDisabledReason.FAILING,
} as const;

const standingReasons = {
  failing: WebhookStandingReason.FAILING,
  held: WebhookStandingReason.HELD,
  unfinished: WebhookStandingReason.UNFINISHED,
  parked: WebhookStandingReason.PARKED,
} as const;

const orderings = {
  none: WebhookOrdering.NONE,
  workspace: WebhookOrdering.WORKSPACE,
  subject: WebhookOrdering.SUBJECT,
} as const;

export function toEndpointMessage(
  endpoint: WebhookEndpoint,
): MessageInitShape<typeof WebhookEndpointSchema> {
  return {
    id: endpoint.id,
    workspaceId: endpoint.workspaceId,
    url: endpoint.url,
    description: endpoint.description,
    typePatterns: [...endpoint.typePatterns],
    subject: endpoint.subject ?? '',
    headerNames: [...endpoint.headerNames],
    maxInFlight: endpoint.maxInFlight,
    maxPerSecond: endpoint.maxPerSecond ?? 0,
    timeoutMs: endpoint.timeoutMs,
    ordering: orderings[endpoint.ordering],
    status: statuses[endpoint.status],
    disabledReason:
      endpoint.disabledReason === undefined
        ? WebhookDisabledReason.UNSPECIFIED
        : reasons[endpoint.disabledReason],
    statusChangedAt: timestampFromDate(endpoint.statusChangedAt),
    createdAt: timestampFromDate(endpoint.createdAt),
    updatedAt: timestampFromDate(endpoint.updatedAt),
    apiKeyId: endpoint.apiKeyId ?? '',
    position: BigInt(endpoint.position),
    lag: BigInt(endpoint.lag),
    standingReason:
      endpoint.standingReason === undefined
        ? WebhookStandingReason.UNSPECIFIED
        : standingReasons[endpoint.standingReason],
    oldestUndeliveredAt: toTimestamp(endpoint.oldestUndeliveredAt),
    lastSuccessAt: toTimestamp(endpoint.lastSuccessAt),
    lastFailureAt: toTimestamp(endpoint.lastFailureAt),
    circuitOpenUntil: toTimestamp(endpoint.circuitOpenUntil),
  };
}

function toTimestamp(date: Date | undefined) {
  return date && timestampFromDate(date);
}

/** @param typePatterns those that the caller may ask for. */
export function toEndpointSettings(
  request: CreateWebhookEndpointRequest,
  typePatterns: readonly string[],
): EndpointSettings {
  return {
    url: request.url,
    description: request.description,
    typePatterns,
    subject: request.subject === '' ? undefined : request.subject,
    maxInFlight: request.maxInFlight || maxInFlightUsual,
    maxPerSecond: request.maxPerSecond || undefined,
    timeoutMs: request.timeoutMs || timeoutMsUsual,
    ordering: toOrdering(request.ordering) ?? 'none',
  };
}

/** What is unset stays; `typePatterns` are those that the caller may ask for. */
export function toEndpointUpdate(
  request: UpdateWebhookEndpointRequest,
  typePatterns: readonly string[] | undefined,
): EndpointUpdate {
  const { url, description, subject, maxInFlight, maxPerSecond, timeoutMs, headers } = request;
  const settings = {
    ...(url !== undefined && { url }),
    ...(description !== undefined && { description }),
    ...(typePatterns !== undefined && { typePatterns }),
    ...(subject !== undefined && { subject: subject === '' ? undefined : subject }),
    ...(maxInFlight !== undefined && { maxInFlight: maxInFlight || maxInFlightUsual }),
    ...(maxPerSecond !== undefined && { maxPerSecond: maxPerSecond || undefined }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...orderingOf(request),
  };
  return { settings, headers: headers && checkHeaders(headers.headers) };
}

function orderingOf({ ordering }: UpdateWebhookEndpointRequest): { ordering?: Ordering } {
  const given = toOrdering(ordering);
  return given === undefined ? {} : { ordering: given };
}

function toOrdering(ordering: WebhookOrdering): Ordering | undefined {
  const found = Object.entries(orderings).find(([, value]) => value === ordering);
  return found?.[0] as Ordering | undefined;
}

export function toStartFrom({ startFrom }: CreateWebhookEndpointRequest): StartFrom {
  switch (startFrom.case) {
    case 'startAfterSequence':
      return { kind: 'sequence', after: Number(startFrom.value) };
    case 'startAfterTime':
      return { kind: 'time', after: toDate('start_after_time', startFrom.value, Math.floor) };
    default:
      return { kind: 'now' };
  }
}

/** SHA-256 of what a request asks for: a repeat asks for the same. */
export function fingerprintOf(content: readonly unknown[]): Buffer {
  const text = JSON.stringify(content, (_, value) =>
    typeof value === 'bigint' ? `${value}` : value,
  );
  return hash('sha256', text, 'buffer');
}
