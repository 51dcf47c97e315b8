import { createContextValues } from '@connectrpc/connect';
import type { UniversalHandler, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { type Call, callKey } from './call.ts';
import { endKey } from './request-gate.ts';

/** What Connect writes for a call that ends with this error, before or after its first message. */
export function writeEnd(
  handler: UniversalHandler,
  contentType: string,
  call: Call,
  error: unknown,
): Promise<UniversalServerResponse> {
  return handler({
    httpVersion: '2.0',
    method: 'POST',
    url: 'http://harbor',
    header: new Headers({ 'content-type': contentType }),
    body: nothing(),
    signal: new AbortController().signal,
    contextValues: createContextValues().set(callKey, call).set(endKey, { error }),
  });
}

async function* nothing(): AsyncIterable<Uint8Array> {
  // The gate refuses the call before its body is read.
}
