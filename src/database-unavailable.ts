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
