import { inspect } from 'node:util';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../gen/typescript/google/rpc/error_details_pb.ts';

/** What a caller learns from an error. */
export interface Refusal {
  readonly code: string;
  readonly reason: string | undefined;
  readonly message: string;
  readonly metadata: Record<string, string>;
  readonly fields: string[];
  readonly retryable: boolean;
}

/** Awaits a call that must fail, and returns how it failed. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    (value) => {
      throw new Error(`expected a refusal, got ${inspect(value)}`);
    },
    (reason: unknown) => ConnectError.from(reason),
  );
  const info = error.findDetails(ErrorInfoSchema)[0];
  return {
    code: Code[error.code] ?? `${error.code}`,
    reason: info?.reason,
    message: error.rawMessage,
    metadata: info?.metadata ?? {},
    fields: error.findDetails(BadRequestSchema)[0]?.fieldViolations.map((one) => one.field) ?? [],
    retryable: error.findDetails(RetryInfoSchema).length > 0,
  };
}
