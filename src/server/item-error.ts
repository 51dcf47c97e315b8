import { ConnectError, type ContextValues } from '@connectrpc/connect';
import { callKey } from './call.ts';
import { factsOf, findRefusal, internalError } from './errors.ts';

/** What a caller is told about an item of a batch; the cause of an unforeseen error goes to the log. */
export function explainItem(error: unknown, values: ContextValues) {
  if (error instanceof ConnectError) return factsOf(error);
  const refusal = findRefusal(error);
  if (refusal !== undefined) return factsOf(refusal);
  const call = values.get(callKey);
  if (call !== undefined) call.cause = error;
  return factsOf(internalError(call?.requestId ?? '', error));
}
