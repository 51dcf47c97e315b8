import { create, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { type CallOptions, Client, credentials } from '@grpc/grpc-js';
import * as v1 from '../../gen/typescript/grpc/reflection/v1/reflection_pb.ts';
import { callBidi } from './grpc-js-client.ts';

export type Question = NonNullable<
  MessageInitShape<typeof v1.ServerReflectionRequestSchema>['messageRequest']
>;
export type Answer = MessageShape<typeof v1.ServerReflectionResponseSchema>['messageResponse'];

/** One stream of questions, on a connection of its own. */
export interface Questions extends Disposable {
  readonly call: ReturnType<
    typeof callBidi<
      typeof v1.ServerReflectionRequestSchema,
      typeof v1.ServerReflectionResponseSchema
    >
  >;
  /** Asks, and leaves the answer to `nextAnswer`. */
  send(question: Question): void;
  /** The next answer that comes. @throws the ServiceError with which the stream ends; undefined: it went well. */
  nextAnswer(): Promise<Answer | undefined>;
  ask(question: Question): Promise<Answer | undefined>;
}

export function openQuestions(
  address: { readonly host: string; readonly port: number },
  {
    method = v1.ServerReflection.method.serverReflectionInfo,
    channel = {},
    ...options
  }: CallOptions & {
    method?: typeof v1.ServerReflection.method.serverReflectionInfo;
    channel?: Record<string, string | number>;
  } = {},
): Questions {
  const client = new Client(`${address.host}:${address.port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    ...channel,
  });
  const call = callBidi(client, method, options);
  // Told to whoever waits for an answer.
  call.on('error', () => undefined);
  const answers = call[Symbol.asyncIterator]();
  const send = (messageRequest: Question) =>
    void call.write(create(method.input, { host: 'any', messageRequest }));
  const nextAnswer = async () => (await answers.next()).value?.messageResponse;
  return {
    call,
    send,
    nextAnswer,
    ask(question) {
      send(question);
      return nextAnswer();
    },
    [Symbol.dispose]() {
      call.cancel();
      client.close();
    },
  };
}

export const listServices: Question = { case: 'listServices', value: '' };
