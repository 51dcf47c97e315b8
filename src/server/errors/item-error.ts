import { ConnectError, type ContextValues } from '@connectrpc/connect';
import { callKey } from '../calls/call.ts';
import { limitError } from './error-size.ts';
import { addErrorInfo, factsOf, findRefusal, internalError } from './errors.ts';

/** What a caller is told about an item of a batch; the cause of an unforeseen error goes to the log. */
export function explainItem(error: unknown, values: ContextValues) {
  const answer = toAnswer(error, values);
  limitError(answer);
  return factsOf(answer);
}

function toAnswer(error: unknown, values: ContextValues): ConnectError {
  if (error instanceof ConnectError) {
    addErrorInfo(error);
    return error;
  }
  const refusal = findRefusal(error);
  if (refusal !== undefined) return refusal;
  const call = values.get(callKey);
  if (call !== undefined) call.cause = error;
  return internalError(call?.requestId ?? '', error);
}
