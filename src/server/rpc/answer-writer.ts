import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { findJsonTexts, type JsonText, rpcJson } from '../../json-texts.ts';
import { responseBytesMax } from '../limits.ts';
import type { createMethodSerializationLookup } from './connect-internals.ts';

type Codecs = ReturnType<typeof createMethodSerializationLookup>;

/**
 * How answers are written in one form: by their codec, or as the JSON that they say they are.
 *
 * @throws RESOURCE_EXHAUSTED for what is larger than any answer may be, in either case.
 */
export function createAnswerWriter(
  output: DescMessage,
  codecs: Codecs,
  isBinary: boolean,
): (answer: MessageInitShape<DescMessage>) => Uint8Array {
  const codec = codecs.getO(isBinary);
  const writeMessage = (answer: MessageInitShape<DescMessage>) =>
    codec.serialize(create(output, answer));
  if (isBinary) return writeMessage;
  return (answer) => {
    const texts = findJsonTexts(answer);
    return texts === undefined ? writeMessage(answer) : toAnswerBytes(texts[rpcJson]());
  };
}

const utf8 = new TextEncoder();

/** @throws as a codec of Connect does for what is too large. */
export function toAnswerBytes(text: JsonText): Uint8Array {
  if (typeof text !== 'string') return joinBytes(text);
  const bytes = utf8.encode(text);
  assertSize(bytes.byteLength);
  return bytes;
}

function joinBytes(parts: readonly string[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += Buffer.byteLength(part);
  assertSize(length);
  const bytes = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const part of parts) at += bytes.write(part, at);
  return bytes;
}

function assertSize(bytes: number): void {
  if (bytes <= responseBytesMax) return;
  throw new ConnectError(
    `message size ${bytes} is larger than configured writeMaxBytes ${responseBytesMax}`,
    Code.ResourceExhausted,
  );
}
