import { findRefusal } from '../errors/errors.ts';

/**
 * A body that is made when it is asked for: after the gate, so that whoever may not call learns that
 * first, and with its mistakes told like those of any other body.
 */
export async function* requestBody(toJson: () => string): AsyncIterable<Uint8Array> {
  let json: string;
  try {
    json = toJson();
  } catch (error) {
    throw findRefusal(error) ?? error;
  }
  yield Buffer.from(json);
}
