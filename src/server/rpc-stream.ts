import { toBinary, toJsonString } from '@bufbuild/protobuf';
import { createContextKey, createContextValues } from '@connectrpc/connect';
import {
  encodeEnvelope,
  type UniversalHandler,
  type UniversalServerResponse,
} from '@connectrpc/connect/protocol';
import { SubscribeEventsResponseSchema as schema } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createStreamEncoder, type Subscription } from '../events/index.ts';
import { callKey } from './call.ts';
import type { ExchangeRequest, ExchangeResponse } from './exchange.ts';
import { StreamBody } from './stream-body.ts';

/** Set for a call whose stream has ended: the request gate refuses it, and Connect writes why. */
export const streamEndKey = createContextKey<{ readonly error: unknown } | undefined>(undefined, {
  description: 'why a stream that went on by itself has ended',
});

type WriteStream = (
  opening: UniversalServerResponse,
  subscription: Subscription,
  handler: UniversalHandler,
  request: ExchangeRequest,
) => ExchangeResponse;

/**
 * Goes on with a stream that a handler has opened. Connect has read its request and written its headers,
 * and writes its end; the messages in between are put into envelopes here, which gRPC, gRPC-Web and Connect
 * have in common. They are not compressed: each is written once for all who follow the same log.
 */
export function createStreamWriter(): WriteStream {
  const encodeBinary = createStreamEncoder((message) =>
    encodeEnvelope(0, toBinary(schema, message)),
  );
  const encodeJson = createStreamEncoder((message) =>
    encodeEnvelope(0, Buffer.from(toJsonString(schema, message))),
  );

  return ({ status, header = new Headers(), trailer }, subscription, handler, { call, signal }) => {
    header.delete('grpc-encoding');
    header.delete('connect-content-encoding');
    const contentType = header.get('content-type') ?? '';
    const encode = contentType.endsWith('json') ? encodeJson : encodeBinary;

    async function finish(error: unknown): Promise<Uint8Array> {
      const end = await handler({
        httpVersion: '2.0',
        method: 'POST',
        url: 'http://harbor',
        header: new Headers({ 'content-type': contentType }),
        body: nothing(),
        signal: new AbortController().signal,
        contextValues: createContextValues().set(callKey, call).set(streamEndKey, { error }),
      });
      const chunks: Uint8Array[] = [];
      for await (const chunk of end.body ?? []) chunks.push(chunk);
      end.trailer?.forEach((value, name) => {
        trailer?.set(name, value);
      });
      return Buffer.concat(chunks);
    }

    const body = new StreamBody(subscription, signal, { encode, finish });
    return { status, header, body, ...(trailer && { trailer }) };
  };
}

async function* nothing(): AsyncIterable<Uint8Array> {
  // The call is refused before its body is read.
}
