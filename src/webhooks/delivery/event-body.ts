import { type Event, writeWebhookJson } from '../../events/index.ts';

/**
 * Writes events as the bodies of webhooks: as REST shows them, without the key that recorded them. Each is written once
 * for all endpoints that are sent it; its bytes go when the event does.
 */
export function createEventBodies(): (event: Event) => Buffer {
  const written = new WeakMap<Event, Buffer>();
  return (event) => {
    const known = written.get(event);
    if (known !== undefined) return known;
    const body = Buffer.from(writeWebhookJson(event));
    written.set(event, body);
    return body;
  };
}
