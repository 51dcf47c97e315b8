import { isFieldError } from '@bufbuild/protobuf/reflect';
import { Code, type ConnectError } from '@connectrpc/connect';
import {
  amendError,
  findInflationError,
  findUnknownMember,
  isCompressionUndeclared,
  isNoObject,
} from '../rpc/connect-internals.ts';
import { addErrorInfo } from './errors.ts';
import { InvalidField } from './request-errors.ts';

/**
 * Gives an error that Connect raised while it read a request its code, text and details. Connect takes much
 * of what it cannot read for a fault of its own (INTERNAL: a binary body that cannot be parsed, compressed
 * data that is cut off); until the request is read, only its sender can be at fault.
 */
export function explainUnreadable(error: ConnectError): void {
  // The code that gRPC's specification of compression asks for by name.
  if (isCompressionUndeclared(error)) {
    addErrorInfo(error, 'INVALID_REQUEST');
    return;
  }
  if (isOurs(error)) return;
  if (error.code === Code.Internal || error.code === Code.Unknown) {
    amendError(error, { code: Code.InvalidArgument });
  }
  if (error.code !== Code.InvalidArgument) return;
  const inflation = findInflationError(error);
  if (inflation !== undefined) {
    amendError(error, { rawMessage: `the request cannot be decompressed: ${inflation.message}` });
  }
  const unreadable = findUnreadableField(error);
  if (unreadable === undefined) return;
  const { field, description } = unreadable;
  addErrorInfo(error, field === 'payload' ? 'PAYLOAD_INVALID' : 'INVALID_REQUEST', [
    { field, description },
  ]);
}

/** Memory that zlib or Brotli did not get. */
function isOurs({ cause }: ConnectError): boolean {
  const code = cause instanceof Error && 'code' in cause ? `${cause.code}` : '';
  return code === 'Z_MEM_ERROR' || code.startsWith('ERR__ERROR_ALLOC');
}

/** The field at which a body could not be decoded: its descriptor, or the type that only it has. */
function findUnreadableField(
  error: ConnectError,
): { field: string; description: string } | undefined {
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof InvalidField) return { field: cause.field, description: cause.rule };
    if (isFieldError(cause)) return { field: cause.field().name, description: cause.message };
    const unknown = findUnknownMember(cause);
    if (unknown !== undefined)
      return { field: unknown, description: 'is not a field of this request' };
    if (isNoObject(cause)) return { field: 'payload', description: 'must be a JSON object' };
  }
  return undefined;
}
