import { buildConnector } from 'undici';
import type { Event } from '../../sdk/src/index.ts';
import { createHttpClient, signatureHeaders, toSigningKey } from '../webhooks/index.ts';
import { toWebhookBody } from './event-line.ts';
import { toTerminalText } from './terminal-text.ts';

/** Sends events as webhooks, one after another. */
export interface Forwarder {
  /** Sends an event once, and tells in a line what came of it. Never rejects. */
  forward(event: Event): Promise<string>;
  /** Ends what is on its way. */
  close(): Promise<void>;
}

/** As long as an endpoint's answer is waited for by default. */
const timeoutMs = 15_000;

/** By the client that the service sends with, and to wherever the caller wants: it is the caller's own machine. */
export function createForwarder(url: string, secret: string): Forwarder {
  const client = createHttpClient(buildConnector({ timeout: timeoutMs }));
  const signingKey = toSigningKey(secret);
  let previousSequence: number | undefined;

  function headersOf({ id, sequence }: Event, body: Buffer): Record<string, string> {
    const previous = previousSequence;
    previousSequence = sequence;
    return {
      'content-type': 'application/json',
      'user-agent': 'harbor-events',
      ...signatureHeaders([signingKey], { id, atMs: Date.now(), body }),
      'harbor-attempt': '1',
      'harbor-sequence': `${sequence}`,
      ...(previous !== undefined && { 'harbor-previous-sequence': `${previous}` }),
    };
  }

  return {
    async forward(event) {
      const body = Buffer.from(toWebhookBody(event));
      const headers = headersOf(event, body);
      const beganAtMs = performance.now();
      const response = await client.post({ url, headers, body, timeoutMs });
      const durationMs = Math.round(performance.now() - beganAtMs);
      const outcome = response.kind === 'answered' ? `${response.status}` : response.error;
      return toTerminalText(`${outcome}  ${durationMs} ms  ${event.type}  ${event.id}`);
    },

    close: () => client.close(),
  };
}
