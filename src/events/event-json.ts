import { toTimeText } from '../timestamp.ts';
import type { Event, ShownEvent } from './event.ts';
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

export function toEventJson(event: ShownEvent): EventJson {
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

/** Three digits each. */
const thousandths = Array.from({ length: 1000 }, (_, number) => `${number}`.padStart(3, '0'));

/** How the members of an event are called, and in what its sequence is written. */
type Form = Readonly<Record<Exclude<keyof EventJson, 'id' | 'type' | 'payload'>, string>> & {
  readonly quote: '' | '"';
};

const restForm: Form = {
  workspace_id: 'workspace_id',
  created_at: 'created_at',
  sequence: 'sequence',
  subject: 'subject',
  occurred_at: 'occurred_at',
  metadata: 'metadata',
  api_key_id: 'api_key_id',
  erased_at: 'erased_at',
  quote: '',
};
const protoForm: Form = {
  ...restForm,
  workspace_id: 'workspaceId',
  created_at: 'createdAt',
  occurred_at: 'occurredAt',
  api_key_id: 'apiKeyId',
  erased_at: 'erasedAt',
  quote: '"',
};

/** The text of what `toEventJson` shows; the payload is the text that is stored. */
export function writeEventJson(event: Event): string {
  return write(event, restForm, event.apiKeyId);
}

/** The same as the body of a webhook: without the key that recorded it. */
export function writeWebhookJson(event: Event): string {
  return write(event, restForm, undefined);
}

/** The text of an event in ProtoJSON; the payload is the text that is stored. */
export function writeEventProtoJson(event: Event): string {
  return write(event, protoForm, event.apiKeyId);
}

/** Ids and times need no escapes. */
function write(event: Event, form: Form, apiKeyId: string | undefined): string {
  const { quote } = form;
  const { subject, occurredAtMicros, metadata, erasedAt } = event;
  let json =
    `{"id":"${event.id}","type":${JSON.stringify(event.type)},` +
    `"${form.workspace_id}":"${event.workspaceId}","payload":${event.payloadJson},` +
    `"${form.created_at}":"${toText(event.createdAt)}",` +
    `"${form.sequence}":${quote}${event.sequence}${quote}`;
  if (subject !== undefined && subject !== '')
    json += `,"${form.subject}":${JSON.stringify(subject)}`;
  if (occurredAtMicros !== undefined)
    json += `,"${form.occurred_at}":"${toTimeText(occurredAtMicros)}"`;
  if (metadata !== undefined && Object.keys(metadata).length > 0)
    json += `,"${form.metadata}":${JSON.stringify(metadata)}`;
  if (apiKeyId !== undefined) json += `,"${form.api_key_id}":"${apiKeyId}"`;
  if (erasedAt !== undefined) json += `,"${form.erased_at}":"${toText(erasedAt)}"`;
  return `${json}}`;
}

/** The second that was written last: neighbours in a log have the same, or nearly. */
let writtenSecond = { second: Number.NaN, text: '' };

/** A date in RFC 3339, in UTC, with 0 or 3 digits of a second. */
export function toText(date: Date): string {
  const ms = date.getTime();
  const second = Math.floor(ms / 1000);
  if (second !== writtenSecond.second) {
    writtenSecond = { second, text: date.toISOString().slice(0, -'.000Z'.length) };
  }
  const rest = ms - second * 1000;
  return rest === 0 ? `${writtenSecond.text}Z` : `${writtenSecond.text}.${thousandths[rest]}Z`;
}
