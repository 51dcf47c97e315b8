import { toTimeText } from '../timestamp.ts';
import type { Event } from './event.ts';
import type { JsonObject } from './payload.ts';

/** An event as REST, its streams and the command line show it. What is unset is absent. */
export interface EventJson {
  readonly id: string;
  readonly type: string;
  readonly workspace_id: string;
  readonly payload: JsonObject;
  /** RFC 3339, in UTC. */
  readonly created_at: string;
  readonly sequence: number;
  readonly subject?: string;
  readonly occurred_at?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly api_key_id?: string;
  readonly erased_at?: string;
}

/** In this order. */
const names: readonly (keyof EventJson)[] = [
  'id',
  'type',
  'workspace_id',
  'payload',
  'created_at',
  'sequence',
  'subject',
  'occurred_at',
  'metadata',
  'api_key_id',
  'erased_at',
];

export function toEventJson(event: Event): EventJson {
  const { occurredAtMicros, erasedAt } = event;
  return inOrder({
    id: event.id,
    type: event.type,
    workspace_id: event.workspaceId,
    payload: event.payload,
    created_at: toText(event.createdAt),
    sequence: event.sequence,
    subject: event.subject,
    occurred_at: occurredAtMicros === undefined ? undefined : toTimeText(occurredAtMicros),
    metadata: event.metadata,
    api_key_id: event.apiKeyId,
    erased_at: erasedAt && toText(erasedAt),
  });
}

/**
 * @param event as ProtoJSON has it, with the contract's names of fields: 64-bit numbers are texts there, and what
 * is unset is empty.
 */
export function fromEventProtoJson(event: Readonly<Record<string, unknown>>): EventJson {
  return inOrder({ ...event, sequence: Number(event.sequence) });
}

function inOrder(fields: Readonly<Record<string, unknown>>): EventJson {
  const set = names.map((name) => [name, fields[name]] as const).filter(isSet);
  return Object.fromEntries(set) as unknown as EventJson;
}

function isSet([name, value]: readonly [keyof EventJson, unknown]): boolean {
  if (name === 'metadata') return Object.keys(value ?? {}).length > 0;
  return value !== undefined && value !== '';
}

function toText(date: Date): string {
  return toTimeText(BigInt(date.getTime()) * 1_000n);
}
