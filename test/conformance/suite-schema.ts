import { readFileSync } from 'node:fs';
import {
  create,
  createFileRegistry,
  type DescMessage,
  fromBinary,
  setExtension,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema, MethodOptionsSchema } from '@bufbuild/protobuf/wkt';
import { required_scope } from '../../gen/typescript/harbor/api_keys/v1/required_scope_pb.ts';

/** The suite's protos as `buf build` writes them: read as they are, so that no code is generated. */
const path = process.argv[2] ?? '';

/** What a caller of the suite's RPCs must be allowed to, so that they pass the gate as those of ours do. */
export const suiteScope = 'suite:call';

const files = fromBinary(FileDescriptorSetSchema, readFileSync(path));
for (const method of files.file.flatMap(({ service }) => service.flatMap((one) => one.method))) {
  method.options ??= create(MethodOptionsSchema);
  setExtension(method.options, required_scope, suiteScope);
}

/** Also resolves the Any messages in which the suite wants requests to be echoed. */
export const registry = createFileRegistry(files);

const packageName = 'connectrpc.conformance.v1';

export function messageSchema(name: string): DescMessage {
  const schema = registry.getMessage(`${packageName}.${name}`);
  if (schema === undefined) throw new Error(`no message ${name} in ${path}`);
  return schema;
}

function findService() {
  const service = registry.getService(`${packageName}.ConformanceService`);
  if (service === undefined) throw new Error(`no ConformanceService in ${path}`);
  return service;
}

export const ConformanceService = findService();

/** The fields that are read of the suite's messages. */
export interface Header {
  readonly name: string;
  readonly value: readonly string[];
}

export interface WantedError {
  readonly code: number;
  readonly message?: string;
  readonly details: readonly { readonly typeUrl: string; readonly value: Uint8Array }[];
}

export interface WantedUnary {
  readonly responseHeaders: readonly Header[];
  readonly responseTrailers: readonly Header[];
  readonly responseDelayMs: number;
  readonly response:
    | { readonly case: 'responseData'; readonly value: Uint8Array }
    | { readonly case: 'error'; readonly value: WantedError }
    | { readonly case: undefined; readonly value?: undefined };
}

export interface WantedStream {
  readonly responseHeaders: readonly Header[];
  readonly responseTrailers: readonly Header[];
  readonly responseDelayMs: number;
  readonly responseData: readonly Uint8Array[];
  readonly error?: WantedError;
}

/** What the suite asks of a server before it starts to call it. */
export interface WantedServer {
  readonly useTls: boolean;
  readonly messageReceiveLimit: number;
  readonly serverCreds?: { readonly cert: Uint8Array; readonly key: Uint8Array };
}
