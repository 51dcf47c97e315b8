/** What was done, as a noun and a verb. The contract has it as a text, so that more may come. */
export type AuditAction =
  | 'api_key.created'
  | 'api_key.updated'
  | 'api_key.rotated'
  | 'api_key.revoked'
  | 'workspace.created'
  | 'workspace.updated'
  | 'workspace.deleted'
  | 'event.erased'
  | 'webhook_endpoint.created'
  | 'webhook_endpoint.updated'
  | 'webhook_endpoint.paused'
  | 'webhook_endpoint.resumed'
  | 'webhook_endpoint.deleted'
  | 'webhook_endpoint.secret_revealed'
  | 'webhook_endpoint.secret_rotated'
  | 'webhook_endpoint.replay_created'
  | 'webhook_endpoint.replay_paused'
  | 'webhook_endpoint.replay_resumed'
  | 'webhook_endpoint.replay_cancelled';

/** Who made a change; both undefined for the command line and for the service itself. */
export interface Actor {
  /** `key_…`. */
  readonly apiKeyId: string | undefined;
  /** As the log and the answer have it. */
  readonly requestId: string | undefined;
}

/** Whoever runs the service: by the command line, or the service by itself. */
export const operator: Actor = { apiKeyId: undefined, requestId: undefined };

/** What is to be recorded of a change. Neither a secret, nor a payload or subject of an event, is in it. */
export interface AuditedChange {
  readonly actor: Actor;
  readonly action: AuditAction;
  /** The id of what was changed. */
  readonly targetId: string;
  /** The workspaces that it concerns; empty means all of them. */
  readonly workspaceIds: readonly string[];
  /** Fields by their names in the contract, and their new values; those that are undefined did not change. */
  readonly changes: Readonly<Record<string, ChangedValue | undefined>>;
}

export type ChangedValue = string | number | boolean | Date | readonly string[];

/** A change as it was recorded. */
export interface AuditRecord {
  /** `aud_…`. */
  readonly id: string;
  /** By the database's clock, in whole milliseconds. */
  readonly recordedAt: Date;
  readonly action: string;
  readonly apiKeyId: string | undefined;
  /** Empty for the command line and for the service itself. */
  readonly requestId: string;
  readonly targetId: string;
  /** Sorted; empty means all. */
  readonly workspaceIds: readonly string[];
  readonly changes: Readonly<Record<string, string>>;
}

/** Of fields before and after a change those that differ, with their new values; undefined where none does. */
export function findDifferences(
  before: AuditedChange['changes'],
  now: AuditedChange['changes'],
): AuditedChange['changes'] | undefined {
  const told = toChangeTexts(before);
  const differing = Object.entries(toChangeTexts(now)).filter(
    ([name, text]) => told[name] !== text,
  );
  return differing.length === 0 ? undefined : Object.fromEntries(differing);
}

/** New values as text: a time as in RFC 3339, a list with commas between. */
export function toChangeTexts(changes: AuditedChange['changes']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(changes).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, toText(value)]],
    ),
  );
}

function toText(value: ChangedValue): string {
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' ? value.join(', ') : String(value);
}
