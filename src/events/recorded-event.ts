import type { Event, Metadata } from './event.ts';
import type { JsonObject } from './payload.ts';

/** An event as it comes from the log; of what is not at hand, the payload is parsed each time it is asked for. */
type Recorded = Omit<Required<Event>, 'payload'> & { readonly payload: JsonObject | undefined };

/**
 * Most who are sent an event as JSON are sent the text of its payload: it is parsed for the others alone. Of a class, since
 * a getter that each event has of its own costs more than to parse it.
 */
export class RecordedEvent implements Event {
  readonly id: string;
  readonly workspaceId: string;
  readonly type: string;
  readonly subject: string | undefined;
  readonly payloadJson: string;
  readonly occurredAtMicros: bigint | undefined;
  readonly metadata: Metadata | undefined;
  readonly createdAt: Date;
  readonly sequence: number;
  readonly apiKeyId: string | undefined;
  readonly erasedAt: Date | undefined;
  readonly traceContext: string | undefined;
  readonly #payload: JsonObject | undefined;

  constructor(event: Recorded) {
    this.id = event.id;
    this.workspaceId = event.workspaceId;
    this.type = event.type;
    this.subject = event.subject;
    this.payloadJson = event.payloadJson;
    this.occurredAtMicros = event.occurredAtMicros;
    this.metadata = event.metadata;
    this.createdAt = event.createdAt;
    this.sequence = event.sequence;
    this.apiKeyId = event.apiKeyId;
    this.erasedAt = event.erasedAt;
    this.traceContext = event.traceContext;
    this.#payload = event.payload;
  }

  get payload(): JsonObject {
    return this.#payload ?? (JSON.parse(this.payloadJson) as JsonObject);
  }
}
