import type { Gauge } from '../gauge.ts';
import type { Load } from './calls/admission.ts';
import type { Health } from './health/health.ts';
import type { Front } from './wire/front.ts';

/** What the process holds at a moment. */
export interface ServerLoad extends Load {
  /** Unary answers that were written and not taken yet. */
  readonly answerBytes: number;
}

export interface ServerGaugesDeps {
  readonly load: () => ServerLoad;
  readonly front: Pick<Front, 'connections'>;
  readonly health: Pick<Health, 'notServing'>;
}

/** What the server shows of itself. */
export function serverGauges({ load, front, health }: ServerGaugesDeps): Gauge[] {
  return [
    {
      name: 'harbor_ready',
      help: '1 while the process takes calls, 0 while /readyz says that it does not',
      read: () => (health.notServing === undefined ? 1 : 0),
    },
    {
      name: 'harbor_connections',
      help: 'Connections of callers',
      read: () => front.connections,
    },
    {
      name: 'harbor_calls_open',
      help: 'Calls and streams in flight, until their answers are taken',
      read: () => load().calls,
    },
    {
      name: 'harbor_calls_without_key_open',
      help: 'Those among them that have shown no key yet, or whose key is being looked up',
      read: () => load().callsWithoutKey,
    },
    {
      name: 'harbor_streams_open',
      help: 'Streams in flight, with those that watch the health',
      read: () => load().streams,
    },
    {
      name: 'harbor_request_body_bytes',
      help: 'What is held of the bodies of requests',
      read: () => load().bodyBytes + load().bodyBytesWithoutKey,
    },
    {
      name: 'harbor_answer_bytes',
      help: 'Unary answers that were written and not taken yet',
      read: () => load().answerBytes,
    },
  ];
}
