import type {
  DescMessage,
  DescMethodServerStreaming,
  JsonReadOptions,
  JsonWriteOptions,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import type { StreamSource } from './stream-source.ts';

/** What a handler of a stream is told of its call, as Connect tells other handlers. */
export type StreamContext = Pick<
  HandlerContext,
  'values' | 'requestHeader' | 'responseHeader' | 'responseTrailer' | 'timeoutMs'
>;

/**
 * A streaming RPC as a feature brings it. Its answers are written beside Connect (decision 12), by whoever speaks
 * to the caller: `rpc-stream.ts` in the envelopes of the RPCs' protocols, `rest/event-stream.ts` as Server-Sent
 * Events.
 */
export interface StreamRoute<
  I extends DescMessage = DescMessage,
  O extends DescMessage = DescMessage,
  // biome-ignore lint/suspicious/noExplicitAny: each route has items of its own, which only it looks into
  Item = any,
> {
  readonly method: DescMethodServerStreaming<I, O>;
  /**
   * Opens what the request asks for, which is checked against the contract. It ends with its caller and its
   * timeout by itself.
   *
   * @throws why there is nothing to open; the caller is told as of any other call.
   */
  open(request: MessageShape<I>, context: StreamContext): Promise<StreamSource<Item>>;
  /**
   * How items become bytes of one form; called once for each form that is spoken. May keep what it has written
   * for others who are sent the same item.
   *
   * @param write takes what a message is made of, which may say how it is written as JSON (`json-texts.ts`).
   */
  createEncoder(write: (answer: MessageInitShape<O>) => Uint8Array): (item: Item) => Uint8Array;
  /** Of its codec and bounds, where they are not those of every RPC. */
  readonly options?: StreamRouteOptions;
}

export interface StreamRouteOptions {
  readonly jsonOptions?: Partial<JsonReadOptions & JsonWriteOptions>;
  readonly readMaxBytes?: number;
}
