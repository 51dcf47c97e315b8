import type { Dispatcher } from 'undici';
import type { WebhookResponse } from '../delivery/courier.ts';
import { describeFailure } from './failure.ts';

/** What is read of an answer, and what of that is kept; both as they came, not inflated. */
const readBytesMax = 64 * 1024;
const keptBytesMax = 1_024;

/** One request and its answer: it ends once, in time, and holds no more than it keeps. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #resolve: (response: WebhookResponse) => void;
  readonly #timer: NodeJS.Timeout;
  #kept = Buffer.alloc(0);
  #controller: Dispatcher.DispatchController | undefined;
  #status: number | undefined;
  #retryAfter: string | undefined;
  #readBytes = 0;
  #isOver = false;

  constructor(timeoutMs: number, resolve: (response: WebhookResponse) => void) {
    this.#resolve = resolve;
    this.#timer = setTimeout(() => this.#abort('timeout'), timeoutMs);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(new Error('the request has ended'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // Others come after those that only say "go on".
    if (status < 200) return;
    this.#status = status;
    const retryAfter = headers['retry-after'];
    this.#retryAfter = Array.isArray(retryAfter) ? retryAfter[0] : retryAfter;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const room = keptBytesMax - this.#kept.byteLength;
    // One copy of it all, so that pieces as they came, of a byte each at the worst, are not held.
    if (room > 0) this.#kept = Buffer.concat([this.#kept, chunk.subarray(0, room)]);
    this.#readBytes += chunk.byteLength;
    if (this.#readBytes > readBytesMax) this.#abort('answer too long');
  }

  onResponseEnd(): void {
    this.#end('connection closed');
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(error);
  }

  fail(error: unknown): void {
    this.#end(describeFailure(error));
  }

  #abort(error: string): void {
    this.#end(error);
    this.#controller?.abort(new Error(error));
  }

  /** What has come until now counts: a status is an answer, however its body goes on. */
  #end(error: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    if (this.#status === undefined) {
      this.#resolve({ kind: 'unanswered', error });
      return;
    }
    const answer = { status: this.#status, retryAfter: this.#retryAfter, body: this.#kept };
    this.#resolve({ kind: 'answered', ...answer });
  }
}
