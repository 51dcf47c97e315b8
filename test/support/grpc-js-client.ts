import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type {
  CallOptions,
  Client,
  ClientDuplexStream,
  ClientReadableStream,
  ServiceError,
} from '@grpc/grpc-js';
import { Metadata } from '@grpc/grpc-js';

/** The headers of a call. */
export function metadataOf(headers: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}

interface Method<Input extends DescMessage, Output extends DescMessage>
  extends Pick<DescMethodUnary<Input, Output>, 'name' | 'parent' | 'input' | 'output'> {}

const pathOf = ({ parent, name }: Method<DescMessage, DescMessage>) =>
  `/${parent.typeName}/${name}`;
const serialize = <Input extends DescMessage>(input: Input) => {
  return (message: MessageShape<Input>) => Buffer.from(toBinary(input, message));
};
const deserialize = <Output extends DescMessage>(output: Output) => {
  return (bytes: Buffer) => fromBinary(output, bytes);
};

/** A unary call of grpc-js; rejects with its ServiceError. */
export function callUnary<Input extends DescMessage, Output extends DescMessage>(
  client: Client,
  method: Method<Input, Output>,
  request: MessageInitShape<Input>,
  metadata: Metadata,
  options: CallOptions = {},
): Promise<MessageShape<Output>> {
  return new Promise((resolve, reject) => {
    const { input, output } = method;
    client.makeUnaryRequest(
      pathOf(method),
      serialize(input),
      deserialize(output),
      create(input, request),
      metadata,
      options,
      (error: ServiceError | null, response?: MessageShape<Output>) => {
        if (error === null) resolve(response as MessageShape<Output>);
        else reject(error);
      },
    );
  });
}

/** A server stream of grpc-js. */
export function callStream<Input extends DescMessage, Output extends DescMessage>(
  client: Client,
  method: Method<Input, Output>,
  request: MessageInitShape<Input>,
): ClientReadableStream<MessageShape<Output>> {
  const { input, output } = method;
  return client.makeServerStreamRequest(
    pathOf(method),
    serialize(input),
    deserialize(output),
    create(input, request),
  );
}

/** A stream of grpc-js in both directions. */
export function callBidi<Input extends DescMessage, Output extends DescMessage>(
  client: Client,
  method: Method<Input, Output>,
  options: CallOptions = {},
): ClientDuplexStream<MessageShape<Input>, MessageShape<Output>> {
  const { input, output } = method;
  return client.makeBidiStreamRequest(
    pathOf(method),
    serialize(input),
    deserialize(output),
    new Metadata(),
    options,
  );
}

/** Awaits a call that must fail. */
export async function serviceErrorOf(call: Promise<unknown>): Promise<ServiceError> {
  return call.then(
    () => {
      throw new Error('expected the call to fail');
    },
    (error: ServiceError) => error,
  );
}
