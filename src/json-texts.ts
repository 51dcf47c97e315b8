/**
 * How an answer is written as JSON, where that is known without the message that it is: what of it is JSON already,
 * such as a payload, stays the text that it is.
 */
export interface JsonTexts {
  /** For clients of the RPC: ProtoJSON. */
  readonly rpc: () => string;
  /** For the REST face. */
  readonly rest: () => string;
}

const key = Symbol('how an answer is written as JSON');

/** The answer, which says how it is written as JSON; whoever writes it otherwise sees no difference. */
export function withJsonTexts<Answer extends object>(answer: Answer, texts: JsonTexts): Answer {
  return Object.defineProperty(answer, key, { value: texts });
}

/** Undefined for an answer that says nothing of the kind. */
export function findJsonTexts(answer: object): JsonTexts | undefined {
  return (answer as { readonly [key]?: JsonTexts })[key];
}
