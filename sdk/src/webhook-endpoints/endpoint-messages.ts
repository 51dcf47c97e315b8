import { timestampDate } from '@bufbuild/protobuf/wkt';
import {
  WebhookOrdering as Ordering,
  WebhookDisabledReason,
  type WebhookEndpoint as WebhookEndpointMessage,
  WebhookEndpointStatus,
  WebhookStandingReason,
} from '../../../gen/typescript/harbor/webhooks/v1/webhook_endpoint_pb.ts';
import type { WebhookSecret as WebhookSecretMessage } from '../../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { createOnceOptionNames } from '../create-once.ts';
import { toSafeInteger } from '../events/from-message.ts';
import {
  parseDate,
  parseInteger,
  parseSequence,
  parseSubject,
  parseTypePatterns,
  refuseField,
  requireString,
} from '../events/request-fields.ts';
import { refuseUnknownFields } from '../known-names.ts';
import {
  dateField,
  findName,
  nameOf,
  parseName,
  requireDate,
  requireMessage,
} from '../message-parts.ts';
import {
  endpointChangeNames,
  type NewWebhookEndpoint,
  newEndpointNames,
  type WebhookEndpoint,
  type WebhookEndpointChanges,
  type WebhookSecret,
} from './webhook-endpoint.ts';

const orderings = {
  none: Ordering.NONE,
  workspace: Ordering.WORKSPACE,
  subject: Ordering.SUBJECT,
} as const;
const statuses = {
  enabled: WebhookEndpointStatus.ENABLED,
  paused: WebhookEndpointStatus.PAUSED,
  disabled: WebhookEndpointStatus.DISABLED,
} as const;
const disabledReasons = {
  gone: WebhookDisabledReason.GONE,
  failing: WebhookDisabledReason.FAILING,
} as const;
const standingReasons = {
  failing: WebhookStandingReason.FAILING,
  held: WebhookStandingReason.HELD,
  unfinished: WebhookStandingReason.UNFINISHED,
  parked: WebhookStandingReason.PARKED,
} as const;

const rate = { min: 1, max: 10_000 };
const places = { min: 1, max: 1_000 };
const timeout = { min: 1_000, max: 30_000 };

export function newEndpointToMessage(endpoint: NewWebhookEndpoint, requestId: string) {
  refuseUnknownFields(endpoint, newEndpointNames, createOnceOptionNames);
  const { description, maxInFlight, maxPerSecond, timeoutMs, catchUpMaxPerSecond } = endpoint;
  return {
    workspaceId: requireString('workspaceId', endpoint.workspaceId),
    url: requireString('url', endpoint.url),
    description: description === undefined ? '' : requireString('description', description),
    typePatterns: parseTypePatterns({ typePatterns: endpoint.typePatterns }),
    subject: parseSubject(endpoint.subject) ?? '',
    headers: parseHeaders(endpoint.headers) ?? {},
    maxInFlight: parseInteger('maxInFlight', maxInFlight, places) ?? 0,
    maxPerSecond: parseInteger('maxPerSecond', maxPerSecond, rate) ?? 0,
    timeoutMs: parseInteger('timeoutMs', timeoutMs, timeout) ?? 0,
    ordering: parseOrdering(endpoint.ordering),
    startFrom: startToMessage(endpoint),
    catchUpMaxPerSecond: parseInteger('catchUpMaxPerSecond', catchUpMaxPerSecond, rate) ?? 0,
    requestId,
  };
}

function startToMessage({ startAfterSequence, startAfterTime }: NewWebhookEndpoint) {
  if (startAfterSequence !== undefined && startAfterTime !== undefined) {
    throw refuseField('startAfterTime', 'must not be there together with startAfterSequence.');
  }
  const sequence = parseSequence('startAfterSequence', startAfterSequence);
  if (sequence !== undefined) {
    return { case: 'startAfterSequence', value: BigInt(sequence) } as const;
  }
  const { startAfterTime: time } = parseDate('startAfterTime', startAfterTime);
  if (time !== undefined) return { case: 'startAfterTime', value: time } as const;
  return { case: undefined } as const;
}

/** null takes away what can be taken away; what is absent stays. */
export function changesToMessage(id: string, changes: WebhookEndpointChanges) {
  refuseUnknownFields(changes, endpointChangeNames);
  const { url, description, typePatterns, subject, headers, maxInFlight, maxPerSecond, timeoutMs } =
    changes;
  return {
    id: requireString('id', id),
    ...(url !== undefined && { url: requireString('url', url) }),
    ...(description !== undefined && { description: requireString('description', description) }),
    ...(typePatterns !== undefined && {
      typePatterns: { typePatterns: parseTypePatterns({ typePatterns }) },
    }),
    ...(subject !== undefined && {
      subject: subject === null ? '' : (parseSubject(subject) ?? ''),
    }),
    ...(headers !== undefined && { headers: { headers: parseHeaders(headers) ?? {} } }),
    ...(maxInFlight !== undefined && {
      maxInFlight: parseInteger('maxInFlight', maxInFlight, places) ?? 0,
    }),
    ...(maxPerSecond !== undefined && {
      maxPerSecond: parseInteger('maxPerSecond', maxPerSecond ?? undefined, rate) ?? 0,
    }),
    ...(timeoutMs !== undefined && {
      timeoutMs: parseInteger('timeoutMs', timeoutMs, timeout) ?? 0,
    }),
    ordering: parseOrdering(changes.ordering),
  };
}

function parseOrdering(ordering: unknown): Ordering {
  return parseName('ordering', orderings, ordering) ?? Ordering.UNSPECIFIED;
}

/** The pairs as they are. */
function parseHeaders(headers: unknown): Record<string, string> | undefined {
  if (headers === undefined) return undefined;
  if (Object.prototype.toString.call(headers) !== '[object Object]') {
    throw refuseField('headers', "must be an object of strings, such as { 'x-tenant': 'one' }.");
  }
  return Object.fromEntries(
    Object.entries(headers as object).map(([name, value]) => [
      requireString('headers', name),
      requireString(`headers["${name}"]`, value),
    ]),
  );
}

/** Throws InternalError (RESPONSE_INVALID) when the answer is not whole. */
export function endpointFromMessage(given: WebhookEndpointMessage | undefined): WebhookEndpoint {
  const message = requireMessage(given, 'webhook endpoint');
  const { subject, maxPerSecond, apiKeyId } = message;
  const disabledReason = findName<keyof typeof disabledReasons>(
    disabledReasons,
    message.disabledReason,
  );
  const standingReason = findName<keyof typeof standingReasons>(
    standingReasons,
    message.standingReason,
  );
  return {
    id: message.id,
    workspaceId: message.workspaceId,
    url: message.url,
    description: message.description,
    typePatterns: message.typePatterns,
    ...(subject !== '' && { subject }),
    headerNames: message.headerNames,
    maxInFlight: message.maxInFlight,
    ...(maxPerSecond !== 0 && { maxPerSecond }),
    timeoutMs: message.timeoutMs,
    ordering: nameOf<keyof typeof orderings>(orderings, message.ordering),
    status: nameOf<keyof typeof statuses>(statuses, message.status),
    ...(disabledReason !== undefined && { disabledReason }),
    statusChangedAt: requireDate(message.statusChangedAt),
    createdAt: requireDate(message.createdAt),
    updatedAt: requireDate(message.updatedAt),
    ...(apiKeyId !== '' && { apiKeyId }),
    position: toSafeInteger(message.position),
    lag: toSafeInteger(message.lag),
    ...(standingReason !== undefined && { standingReason }),
    ...dateField('oldestUndeliveredAt', message.oldestUndeliveredAt),
    ...dateField('lastSuccessAt', message.lastSuccessAt),
    ...dateField('lastFailureAt', message.lastFailureAt),
    ...dateField('circuitOpenUntil', message.circuitOpenUntil),
  };
}

export function secretFromMessage({
  secret,
  createdAt,
  expiresAt,
}: WebhookSecretMessage): WebhookSecret {
  return {
    secret,
    createdAt: requireDate(createdAt),
    ...(expiresAt !== undefined && { expiresAt: timestampDate(expiresAt) }),
  };
}
