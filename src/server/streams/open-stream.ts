import type { Validator } from '@bufbuild/protovalidate';
import type { ContextValues } from '@connectrpc/connect';
import {
  EventsService,
  type SubscribeEventsRequest,
} from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { OpenStream, Subscription } from '../../events/index.ts';
import { callKey } from '../calls/call.ts';
import type { RequestGate } from '../calls/request-gate.ts';
import { createMessageCheck } from '../rpc/interceptors.ts';

/**
 * Opens a stream in the steps of any call: gate, body, validation, handler.
 *
 * @param read receives and parses the request, once the gate is passed.
 */
export type OpenCheckedStream = (
  header: Headers,
  values: ContextValues,
  read: () => SubscribeEventsRequest | Promise<SubscribeEventsRequest>,
) => Promise<Subscription>;

export function createOpenCheckedStream(
  gate: RequestGate,
  validator: Validator,
  open: OpenStream,
): OpenCheckedStream {
  const method = EventsService.method.subscribeEvents;
  const check = createMessageCheck(validator);
  return async (header, values, read) => {
    await gate.admit(method, header, values);
    const request = await read();
    const call = values.get(callKey);
    if (call !== undefined) call.isReceived = true;
    check(method.input, request);
    return open(request, { values, timeoutMs: () => undefined });
  };
}
