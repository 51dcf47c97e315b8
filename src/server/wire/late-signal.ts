/** An AbortSignal that is made when somebody asks for it: most calls are over before anybody does. */
export class LateSignal {
  #controller: AbortController | undefined;
  #reason: unknown;
  #isAborted = false;

  /** The first reason counts. */
  abort(reason: unknown): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isAborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }
}
