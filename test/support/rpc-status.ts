import {
  createRegistry,
  type DescMessage,
  fromBinary,
  type MessageShape,
} from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { type Any, AnySchema, anyUnpack } from '@bufbuild/protobuf/wkt';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../gen/typescript/google/rpc/error_details_pb.ts';

/** google.rpc.Status, as the trailer `grpc-status-details-bin` carries it. */
export interface RpcStatus {
  readonly code: number;
  readonly message: string;
  readonly details: Any[];
}

const registry = createRegistry(BadRequestSchema, ErrorInfoSchema, RetryInfoSchema);

/** Reads a google.rpc.Status by its published field numbers. */
export function readRpcStatus(bytes: Uint8Array): RpcStatus {
  const reader = new BinaryReader(bytes);
  const status = { code: 0, message: '', details: [] as Any[] };
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) status.code = reader.int32();
    else if (field === 2) status.message = reader.string();
    else if (field === 3) status.details.push(fromBinary(AnySchema, reader.bytes()));
    else reader.skip(wireType);
  }
  return status;
}

/** The first detail of a kind, or undefined. */
export function findDetail<Desc extends DescMessage>(
  status: RpcStatus,
  desc: Desc,
): MessageShape<Desc> | undefined {
  const found = status.details.find(({ typeUrl }) => typeUrl.endsWith(`/${desc.typeName}`));
  return found && (anyUnpack(found, registry) as MessageShape<Desc> | undefined);
}
