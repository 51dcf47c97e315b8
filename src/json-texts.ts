/** How an answer is written as ProtoJSON, for clients of its RPC. */
export const rpcJson = Symbol('an answer as ProtoJSON');
/** How it is written for the REST face. */
export const restJson = Symbol('an answer as REST shows it');

/**
 * An answer that is written as JSON without the message that it is: what of it is JSON already, such as a payload, stays
 * the text that it is. Its fields are made when somebody looks at them; whoever writes it otherwise sees no difference.
 * Of a class: to give each object getters of its own costs more than to make the message.
 */
export interface JsonTexts {
  [rpcJson](): JsonText;
  [restJson](): JsonText;
}

/** A text, or its parts: one that is put together of many costs as much again when its bytes are asked for. */
export type JsonText = string | readonly string[];

export function wholeText(text: JsonText): string {
  return typeof text === 'string' ? text : text.join('');
}

/** Undefined for an answer that is not written so. */
export function findJsonTexts(answer: object): JsonTexts | undefined {
  return rpcJson in answer ? (answer as JsonTexts) : undefined;
}
