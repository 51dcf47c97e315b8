import type { MessageInitShape } from '@bufbuild/protobuf';
import type { SubscribeEventsResponseSchema } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import type { Event } from '../event.ts';
import { toStreamResponse } from '../event-answers.rpc.ts';
import type { StreamMessage } from './subscription.ts';

/**
 * Turns the messages of streams into bytes of one form. Subscribers of a feed are given the same events:
 * each is written once for all of them, its bytes go when the event does, and the memory of the feeds counts them.
 */
export function createStreamEncoder(
  write: (answer: MessageInitShape<typeof SubscribeEventsResponseSchema>) => Uint8Array,
): (message: StreamMessage) => Uint8Array {
  const written = new WeakMap<Event, Uint8Array>();
  const encode = (message: StreamMessage) => write(toStreamResponse(message));

  return (message) => {
    if (message.kind !== 'event') return encode(message);
    const known = written.get(message.event);
    if (known !== undefined) return known;
    const bytes = encode(message);
    written.set(message.event, bytes);
    message.memory.hang(message.event, bytes.byteLength);
    return bytes;
  };
}
