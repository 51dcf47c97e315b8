/** The idempotency key holds another event: same key, other type, payload or subject. Nothing was stored. */
export class IdempotencyKeyReused extends Error {
  override readonly name = 'IdempotencyKeyReused';
  /** The event that holds the key. */
  readonly eventId: string;
  readonly expiresAt: Date;

  constructor(eventId: string, expiresAt: Date) {
    super(
      `the idempotency key was used for another event, ${eventId}; use a new key for a new event`,
    );
    this.eventId = eventId;
    this.expiresAt = expiresAt;
  }
}

/** As IdempotencyKeyReused, for whoever may not use the type of the event: it learns nothing of that. */
export class IdempotencyKeyTaken extends Error {
  override readonly name = 'IdempotencyKeyTaken';

  constructor() {
    super('the idempotency key was used for another event; use a new key for a new event');
  }
}

/** The type of a caller's event is one of those that the service keeps for its own. */
export class EventTypeReserved extends Error {
  override readonly name = 'EventTypeReserved';
  readonly rule: string;

  constructor() {
    const rule = 'must not begin with "harbor.", as the types of the service\'s own events do';
    super(`type: ${rule}`);
    this.rule = rule;
  }
}

/** No event has the id, or the caller may not read it: the two must look the same. */
export class EventNotFound extends Error {
  override readonly name = 'EventNotFound';
  readonly eventId: string;

  constructor(eventId: string) {
    super(`no event ${eventId}`);
    this.eventId = eventId;
  }
}

/** The service's own events hold nothing of anybody's, and tell of what was erased: they stay as they are. */
export class OwnEventNotErasable extends Error {
  override readonly name = 'OwnEventNotErasable';
  readonly type: string;

  constructor(type: string) {
    super(`${type} is one of the service's own events, which cannot be erased`);
    this.type = type;
  }
}

/** More events are waiting to be written than the service takes on. Nothing was stored. */
export class AppendQueueFull extends Error {
  override readonly name = 'AppendQueueFull';

  constructor() {
    super('too many creates are waiting; try again later');
  }
}

/** The caller's deadline passed, or it went away, while the create was waiting or being written. */
export class AppendAbandoned extends Error {
  override readonly name = 'AppendAbandoned';
  /** False when the create was certainly not stored. */
  readonly sent: boolean;

  constructor(options: { sent: boolean }) {
    super(
      options.sent
        ? 'the outcome of the create is not known; send it again with the same idempotency key'
        : 'the create was not sent to the database in time; nothing was stored',
    );
    this.sent = options.sent;
  }
}

/** A row of an append breaks a rule of the database, so that the whole batch was rolled back. */
export class AppendRowRefused extends Error {
  override readonly name = 'AppendRowRefused';
  /** The row's workspace does not exist: the one rule that a caller can break. */
  readonly workspaceMissing: boolean;

  constructor(options: { workspaceMissing: boolean; cause: unknown }) {
    super('the database refused a row of the append', { cause: options.cause });
    this.workspaceMissing = options.workspaceMissing;
  }
}

/** A deadlock, a serialization failure or a lock timeout: the batch was rolled back and may run again. */
export class AppendContended extends Error {
  override readonly name = 'AppendContended';

  constructor(cause: unknown) {
    super('the append met a lock that it could not get', { cause });
  }
}

/** The workspace of a new event, or of a log, does not exist, or no more. Nothing was stored. */
export class EventWorkspaceMissing extends Error {
  override readonly name = 'EventWorkspaceMissing';
  readonly workspaceId: string;

  constructor(workspaceId: string) {
    super(`no workspace ${workspaceId}`);
    this.workspaceId = workspaceId;
  }
}

/** A cursor is higher than the newest sequence: one of another workspace, or of a database restored since. */
export class SequenceInFuture extends Error {
  override readonly name = 'SequenceInFuture';
  readonly lastSequence: number;
  /** Where it was given. */
  readonly field: CursorField;

  constructor(sequence: number, lastSequence: number, field: CursorField = 'after_sequence') {
    super(`${field} ${sequence} is higher than the newest sequence, ${lastSequence}`);
    this.lastSequence = lastSequence;
    this.field = field;
  }
}

/** Retention has passed a cursor: what it goes on with is kept no more. */
export class SequenceExpired extends Error {
  override readonly name = 'SequenceExpired';
  /** The first sequence that is kept; one more than the newest when none is. */
  readonly firstSequence: number;
  /** Where the cursor was given; undefined: it is that of a reader who was on its way. */
  readonly field: CursorField | undefined;

  constructor(sequence: number, firstSequence: number, field?: CursorField) {
    super(
      `retention has passed sequence ${sequence}: the first that is kept is ${firstSequence}; ` +
        'begin again after 0, and take what lies between as lost',
    );
    this.firstSequence = firstSequence;
    this.field = field;
  }
}

/** The fields of requests that hold cursors, as the contract calls them. */
export type CursorField =
  | 'after_sequence'
  | 'page_token'
  | 'start_after_sequence'
  | 'until_sequence';

/** The log lacks a sequence that it should hold. Reading stops: skipping it would hide a loss. */
export class LogGap extends Error {
  override readonly name = 'LogGap';
  readonly workspaceId: string;
  readonly afterSequence: number;

  /** @param found what stands there instead; undefined: nothing, although the log is longer. */
  constructor(workspaceId: string, afterSequence: number, found: number | undefined) {
    super(`the log of ${workspaceId} holds ${found ?? 'nothing'} next to ${afterSequence}`);
    this.workspaceId = workspaceId;
    this.afterSequence = afterSequence;
  }
}

/**
 * The log no longer holds what was read of it: the database was restored to an earlier point, or a standby
 * that lagged behind was promoted. A sequence that a reader keeps may be that of another event now.
 */
export class LogSetBack extends Error {
  override readonly name = 'LogSetBack';
  readonly workspaceId: string;
  /** Where the log ends now; it may have grown again since it was set back. */
  readonly lastSequence: number;

  /** @param readUpTo the sequence up to which events were read, or were known to be there. */
  constructor(workspaceId: string, readUpTo: number, lastSequence: number) {
    super(
      `the log of ${workspaceId} was set back: what was read of it up to sequence ${readUpTo} is no longer ` +
        `all there, and it ends at ${lastSequence}`,
    );
    this.workspaceId = workspaceId;
    this.lastSequence = lastSequence;
  }
}

/** The process is being stopped; another one, or the next, goes on. */
export class ShuttingDown extends Error {
  override readonly name = 'ShuttingDown';

  constructor() {
    super('the service is being stopped; subscribe again after the last sequence');
  }
}
