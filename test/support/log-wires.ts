import { type Client, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createEventsClient, type Wire, wires } from './clients.ts';

/** Every wire, and the codec and HTTP version that only streams tell apart. */
export const logWires = [...wires, 'connect binary http/1.1'] as const;
export type LogWire = Wire | 'connect binary http/1.1';

export type EventsClient = Client<typeof EventsService>;

export function createLogClient(
  service: { baseUrl: string; secretKey: string },
  wire: LogWire = 'grpc',
): EventsClient {
  if (wire !== 'connect binary http/1.1') return createEventsClient(service, wire);
  const transport = createConnectTransport({
    baseUrl: service.baseUrl,
    httpVersion: '1.1',
    useBinaryFormat: true,
    interceptors: [
      (next) => (request) => {
        request.header.set('authorization', `Bearer ${service.secretKey}`);
        return next(request);
      },
    ],
  });
  return createClient(EventsService, transport);
}
