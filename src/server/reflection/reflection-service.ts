import { type DescFile, type DescService, toBinary } from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code, type ConnectRouter } from '@connectrpc/connect';
import * as v1 from '../../../gen/typescript/grpc/reflection/v1/reflection_pb.ts';
import * as v1alpha from '../../../gen/typescript/grpc/reflection/v1alpha/reflection_pb.ts';

/** What is told about a server. */
export interface Reflected {
  /** Those that it serves, without the two of reflection, which are added. */
  readonly services: readonly DescService[];
  /** Files beside those of the services and all that they import, such as those of the details of errors. */
  readonly files?: readonly DescFile[];
}

type Request = v1.ServerReflectionRequest | v1alpha.ServerReflectionRequest;
type Answer =
  | { case: 'fileDescriptorResponse'; value: { fileDescriptorProto: Uint8Array[] } }
  | {
      case: 'allExtensionNumbersResponse';
      value: { baseTypeName: string; extensionNumber: number[] };
    }
  | { case: 'listServicesResponse'; value: { service: { name: string }[] } }
  | { case: 'errorResponse'; value: { errorCode: Code; errorMessage: string } };

/**
 * The reflection of gRPC, `grpc.reflection.v1` and `v1alpha`, for any server of Connect. Their messages differ in
 * nothing but the name of their package, so one function answers both. It needs a server that hands the messages of a
 * stream on as they come. Files are sent as protoc-gen-es has embedded them: without comments.
 *
 * @returns adds both services to a router.
 */
export function createReflection({ services, files = [] }: Reflected) {
  const all = [...services, v1.ServerReflection, v1alpha.ServerReflection];
  const answer = createAnswers(all, withImports([...all.map(({ file }) => file), ...files]));

  async function* serverReflectionInfo<R extends Request>(requests: AsyncIterable<R>) {
    const sent = new Set<DescFile>();
    for await (const request of requests) {
      const messageResponse = answer(request.messageRequest, sent);
      yield { validHost: request.host, originalRequest: request, messageResponse };
    }
  }

  // Whoever needs no key to ask would have the server compress for him.
  const options = { compressMinBytes: Number.POSITIVE_INFINITY };
  return (router: ConnectRouter): void => {
    router.service(v1.ServerReflection, { serverReflectionInfo }, options);
    router.service(v1alpha.ServerReflection, { serverReflectionInfo }, options);
  };
}

/** @returns answers one question of a stream; `sent` are the files that were sent on it before. */
function createAnswers(services: readonly DescService[], files: ReadonlySet<DescFile>) {
  const names = services.map(({ typeName }) => typeName).sort();
  const index = indexFiles(files);
  const serialized = new Map<DescFile, Uint8Array>();

  function serialize(file: DescFile): Uint8Array {
    const bytes = serialized.get(file) ?? toBinary(FileDescriptorProtoSchema, file.proto);
    serialized.set(file, bytes);
    return bytes;
  }

  function answerFile(file: DescFile | undefined, what: string, sent: Set<DescFile>): Answer {
    if (file === undefined) return notFound(what);
    const imported = [...withImports([file])].filter((one) => one !== file && !sent.has(one));
    const wanted = [file, ...imported];
    for (const one of wanted) sent.add(one);
    const fileDescriptorProto = wanted.map(serialize);
    return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
  }

  return (question: Request['messageRequest'], sent: Set<DescFile>): Answer => {
    switch (question.case) {
      case 'listServices': {
        const service = names.map((name) => ({ name }));
        return { case: 'listServicesResponse', value: { service } };
      }
      case 'fileByFilename':
        return answerFile(index.byName.get(question.value), `file ${question.value}`, sent);
      case 'fileContainingSymbol':
        return answerFile(index.bySymbol.get(question.value), `symbol ${question.value}`, sent);
      case 'fileContainingExtension': {
        const { containingType, extensionNumber } = question.value;
        const file = index.byExtension.get(containingType)?.get(extensionNumber);
        return answerFile(file, `extension ${extensionNumber} of ${containingType}`, sent);
      }
      case 'allExtensionNumbersOfType': {
        const baseTypeName = question.value;
        if (!index.messages.has(baseTypeName)) return notFound(`message ${baseTypeName}`);
        const numbers = [...(index.byExtension.get(baseTypeName)?.keys() ?? [])];
        const extensionNumber = numbers.sort((a, b) => a - b);
        return {
          case: 'allExtensionNumbersResponse',
          value: { baseTypeName, extensionNumber },
        };
      }
      default:
        return refusal(Code.Unimplemented, 'a request of a kind that is not known here');
    }
  };
}

function notFound(what: string): Answer {
  return refusal(Code.NotFound, `${what} is not known here`);
}

function refusal(errorCode: Code, errorMessage: string): Answer {
  return { case: 'errorResponse', value: { errorCode, errorMessage } };
}

/** Files with all that they import, directly or not. */
function withImports(files: readonly DescFile[]): Set<DescFile> {
  const found = new Set(files);
  // What is added while a set is walked is walked as well.
  for (const { dependencies } of found) for (const file of dependencies) found.add(file);
  return found;
}

function indexFiles(files: ReadonlySet<DescFile>) {
  const byName = new Map<string, DescFile>();
  const bySymbol = new Map<string, DescFile>();
  const messages = new Set<string>();
  const byExtension = new Map<string, Map<number, DescFile>>();
  for (const file of files) {
    byName.set(file.proto.name, file);
    for (const type of nestedTypes(file)) {
      for (const symbol of symbolsOf(type)) bySymbol.set(symbol, file);
      if (type.kind === 'message') messages.add(type.typeName);
      if (type.kind !== 'extension') continue;
      const { typeName } = type.extendee;
      byExtension.set(typeName, byExtension.get(typeName) ?? new Map());
      byExtension.get(typeName)?.set(type.number, file);
    }
  }
  return { byName, bySymbol, messages, byExtension };
}

type DescType = ReturnType<typeof nestedTypes> extends Iterable<infer Type> ? Type : never;

/** The full names of a type and of what it consists of. */
function symbolsOf(type: DescType): string[] {
  const { typeName } = type;
  const within = (scope: string, parts: readonly { readonly name: string }[]) =>
    parts.map(({ name }) => (scope === '' ? name : `${scope}.${name}`));
  switch (type.kind) {
    case 'message':
      return [typeName, ...within(typeName, [...type.fields, ...type.oneofs])];
    case 'service':
      return [typeName, ...within(typeName, type.methods)];
    case 'enum':
      // Values stand beside their enum, as in C++.
      return [typeName, ...within(typeName.slice(0, -type.name.length - 1), type.values)];
    default:
      return [typeName];
  }
}
