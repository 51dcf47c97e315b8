/**
 * PostgreSQL cannot be reached, or did not answer in time.
 *
 * `sent` is false when the statement certainly never reached it, so that nothing was written; true
 * when the outcome is unknown.
 */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable';
  readonly sent: boolean;

  constructor(message: string, options: { sent: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.sent = options.sent;
  }
}

/**
 * PostgreSQL gave up a statement for the sake of another one: a lock that could not be had in time, as
 * while the schema is changed, a deadlock, a serialization failure. Nothing was written; the same
 * statement may succeed when run again.
 */
export class DatabaseContended extends Error {
  override readonly name = 'DatabaseContended';

  constructor(cause: unknown) {
    super('PostgreSQL gave up a statement for another one; try again', { cause });
  }
}
