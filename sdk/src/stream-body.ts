/** The flag of the last envelope of a stream, by the Connect protocol. */
const endStreamFlag = 0b10;

/** Each envelope begins with a byte of flags and 4 bytes of length. */
const envelopeHeadBytes = 5;

/**
 * The same answer, with a body that fails when it ends anywhere but after its last envelope: a proxy or
 * a process that goes away may end it in good order, half-way. Errors are passed through `translate`.
 * Reads nothing before it is asked to.
 */
export function watchStream(response: Response, translate: (error: unknown) => unknown): Response {
  if (response.body === null) return response;
  const reader = response.body.getReader();
  const envelopes = new EnvelopeWatch();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (!done) {
            envelopes.take(value);
            controller.enqueue(value);
          } else if (envelopes.ended) {
            controller.close();
          } else {
            throw new Error('the connection was closed half-way');
          }
        } catch (error) {
          controller.error(translate(error));
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  const { status, statusText, headers } = response;
  return new Response(body, { status, statusText, headers });
}

/** Follows the envelopes of a stream through its chunks, which are cut anywhere. */
class EnvelopeWatch {
  readonly #head = new Uint8Array(envelopeHeadBytes);
  #headBytes = 0;
  #dataBytesLeft = 0;

  /** True once the last envelope has passed, whole. */
  get ended(): boolean {
    return this.#isWhole() && ((this.#head[0] ?? 0) & endStreamFlag) !== 0;
  }

  take(chunk: Uint8Array): void {
    for (let offset = 0; offset < chunk.length; ) {
      if (this.#isWhole()) this.#headBytes = 0;
      if (this.#headBytes < envelopeHeadBytes) {
        this.#head[this.#headBytes] = chunk[offset] ?? 0;
        this.#headBytes += 1;
        offset += 1;
        if (this.#headBytes === envelopeHeadBytes) {
          this.#dataBytesLeft = new DataView(this.#head.buffer).getUint32(1);
        }
      } else {
        const taken = Math.min(this.#dataBytesLeft, chunk.length - offset);
        this.#dataBytesLeft -= taken;
        offset += taken;
      }
    }
  }

  #isWhole(): boolean {
    return this.#headBytes === envelopeHeadBytes && this.#dataBytesLeft === 0;
  }
}
