import type { Gauge } from '../gauge.ts';
import type { DeliveryEngine } from './delivery/engine.ts';

/** What the delivery of webhooks shows. Endpoints and cursors are those of the database, as this process knows them. */
export function webhookGauges(
  engine: Pick<DeliveryEngine, 'load' | 'endpoints' | 'lags'>,
): Gauge[] {
  return [
    {
      name: 'harbor_webhook_requests_open',
      help: 'Requests on their way from this process, 4,096 at the most',
      read: () => engine.load.requests,
    },
    {
      name: 'harbor_webhook_body_bytes',
      help: 'Their bodies, 64 MiB at the most, less on a small heap',
      read: () => engine.load.bytes,
    },
    {
      name: 'harbor_webhook_endpoints',
      help: 'Endpoints of the database, by their status',
      label: 'status',
      read: () => engine.endpoints,
    },
    {
      name: 'harbor_webhook_cursors',
      help: 'Live cursors of enabled endpoints, by the age of the oldest event that they have not come to',
      label: 'lag',
      read: () => ({ ...engine.lags().cursors }),
    },
    {
      name: 'harbor_webhook_cursor_lag_seconds',
      help: 'That age, of the cursor that is furthest behind',
      read: () => engine.lags().maxMs / 1_000,
    },
  ];
}
