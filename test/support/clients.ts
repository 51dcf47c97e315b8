import { type Client, createClient, type Interceptor, type Transport } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';

/** Every way into the RPCs: protocol, codec and HTTP version. */
export const wires = [
  'grpc',
  'grpc-web',
  'grpc-web http/1.1',
  'connect json',
  'connect binary',
  'connect json http/1.1',
] as const;
/** The other protocols with the codec that they usually do not have. */
export const jsonWires = ['grpc json', 'grpc-web json'] as const;
export type Wire = (typeof wires)[number] | (typeof jsonWires)[number];

/** @param ca the authority of a service over TLS, in PEM. */
export function createTransport(
  wire: Wire,
  baseUrl: string,
  secretKey?: string,
  ca?: string,
): Transport {
  const authorize: Interceptor = (next) => (request) => {
    if (secretKey !== undefined) request.header.set('authorization', `Bearer ${secretKey}`);
    return next(request);
  };
  const options = { baseUrl, interceptors: [authorize], ...(ca && { nodeOptions: { ca } }) };
  switch (wire) {
    case 'grpc':
      return createGrpcTransport(options);
    case 'grpc json':
      return createGrpcTransport({ ...options, useBinaryFormat: false });
    case 'grpc-web json':
      return createGrpcWebTransport({ ...options, httpVersion: '2', useBinaryFormat: false });
    case 'grpc-web':
      return createGrpcWebTransport({ ...options, httpVersion: '2' });
    case 'grpc-web http/1.1':
      return createGrpcWebTransport({ ...options, httpVersion: '1.1' });
    case 'connect json':
      return createConnectTransport({ ...options, httpVersion: '2', useBinaryFormat: false });
    case 'connect binary':
      return createConnectTransport({ ...options, httpVersion: '2', useBinaryFormat: true });
    case 'connect json http/1.1':
      return createConnectTransport({ ...options, httpVersion: '1.1', useBinaryFormat: false });
  }
}

export function createEventsClient(
  service: { baseUrl: string; secretKey: string },
  wire: Wire = 'grpc',
): Client<typeof EventsService> {
  return createClient(EventsService, createTransport(wire, service.baseUrl, service.secretKey));
}
