import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { findJsonTexts, rpcJson } from '../../json-texts.ts';
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
export function toAnswerBytes(text: string): Uint8Array {
  const bytes = utf8.encode(text);
  if (bytes.byteLength <= responseBytesMax) return bytes;
  throw new ConnectError(
    `message size ${bytes.byteLength} is larger than configured writeMaxBytes ${responseBytesMax}`,
    Code.ResourceExhausted,
  );
}
