import type { DescMethod } from '@bufbuild/protobuf';
import type { EndedCall, ObservedRpc, Observer } from '../../observer.ts';
import type { Call } from './call.ts';

/** The codes of answers that are no RPC's: they say it in their body only. */
const codesByStatus = new Map([
  [400, 'invalid_argument'],
  [403, 'permission_denied'],
  [404, 'not_found'],
  [405, 'unimplemented'],
  [415, 'unimplemented'],
  [503, 'unavailable'],
]);

/** Tells of each call that has ended, and ends its span. */
export function createCallTelling(
  observer: Pick<Observer, 'callEnded'>,
): (call: Call, status: number) => void {
  const observed = new Map<DescMethod, ObservedRpc>();

  function toObserved(rpc: DescMethod): ObservedRpc {
    const known = observed.get(rpc);
    if (known !== undefined) return known;
    const name = `${rpc.parent.typeName}/${rpc.name}`;
    const made = { name, isStream: rpc.methodKind !== 'unary' };
    observed.set(rpc, made);
    return made;
  }

  return (call, status) => {
    const { rpc, startedAtMs } = call;
    const ended: EndedCall = {
      rpc: rpc && toObserved(rpc),
      protocol: rpc === undefined ? 'rest' : call.protocol,
      code: codeOf(call, status),
      reason: call.failure?.reason,
      startedAtMs,
      durationMs: performance.now() - startedAtMs,
    };
    observer.callEnded(ended);
    call.trace?.end(ended, call.failure?.reason);
  };
}

/** How it ended, in the words of the contract's errors. */
export function codeOf({ failure, cause }: Call, status: number): string {
  if (failure !== undefined) return failure.code;
  if (cause !== undefined) return 'internal';
  // Nothing was written: whoever has called did not wait for it.
  if (status === 0) return 'canceled';
  return status < 400 ? 'ok' : (codesByStatus.get(status) ?? 'unknown');
}
