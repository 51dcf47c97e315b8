import type { Event } from '../../sdk/src/index.ts';
import { type EventJson, toEventJson } from '../events/index.ts';
import { fromTimeText } from '../timestamp.ts';
import { toTerminalText } from './terminal-text.ts';

/** One event as JSON on one line, with the names of the REST face: for programs. */
export function toJsonLine(event: Event): string {
  return JSON.stringify(toJson(event));
}

/** One event as the body of a webhook: without the key that recorded it. */
export function toWebhookBody(event: Event): string {
  const { api_key_id: _, ...shown } = toJson(event);
  return JSON.stringify(shown);
}

function toJson({ occurredAtExact, ...event }: Event): EventJson {
  const occurredAtMicros =
    occurredAtExact === undefined ? undefined : fromTimeText(occurredAtExact);
  return toEventJson({ ...event, occurredAtMicros });
}

/** One event on one line of a terminal of so many columns: for people. */
export function toTerminalLine(event: Event, columns: number): string {
  const time = event.createdAt.toISOString();
  const about = event.subject === undefined ? '' : `${event.subject}  `;
  const head = `${String(event.sequence).padStart(8)}  ${time}  ${event.type}  ${about}`;
  const { erasedAt } = event;
  const content =
    erasedAt === undefined ? JSON.stringify(event.payload) : `erased ${erasedAt.toISOString()}`;
  const room = Math.max(20, columns - head.length);
  const told = content.length > room ? `${content.slice(0, room - 1)}…` : content;
  return toTerminalText(head + told);
}

/** Writes events to standard output, for whoever reads it there. */
export function printEvent(event: Event): void {
  const { stdout } = process;
  const line = stdout.isTTY ? toTerminalLine(event, stdout.columns) : toJsonLine(event);
  stdout.write(`${line}\n`);
}
