import type { DescMessage, Message, MessageInitShape } from '@bufbuild/protobuf';
import type { Validator } from '@bufbuild/protovalidate';
import type { HandlerContext } from '@connectrpc/connect';
import { callKey } from '../calls/call.ts';
import type { RequestGate } from '../calls/request-gate.ts';
import { createMessageCheck } from '../rpc/interceptors.ts';
import type { UnaryRoute } from './unary-routes.ts';

/** A unary RPC that is answered in the steps of any call: gate, body, validation, handler. */
export interface GuardedUnary extends Pick<UnaryRoute, 'method' | 'options'> {
  /**
   * @param read receives and parses the request, once the gate is passed.
   * @throws what the caller is to be told, as `recordFailure` makes it.
   */
  call(
    context: HandlerContext,
    read: () => Message | Promise<Message>,
  ): Promise<MessageInitShape<DescMessage>>;
}

export function createGuardedUnaries(
  routes: readonly UnaryRoute[],
  gate: RequestGate,
  validator: Validator,
): readonly GuardedUnary[] {
  const check = createMessageCheck(validator);
  return routes.map(({ method, implementation, options }) => ({
    method,
    options,
    async call(context, read) {
      const { values } = context;
      const admitted = gate.admit(method, context.requestHeader, values);
      if (admitted !== undefined) await admitted;
      const request = await read();
      const call = values.get(callKey);
      if (call !== undefined) call.isReceived = true;
      check(method.input, request);
      return implementation(request, context);
    },
  }));
}
