import type { Interceptor } from '@connectrpc/connect';
import {
  type CreateEventRequest,
  EventsService,
} from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { InvalidField } from '../errors/request-errors.ts';

/** The header `Idempotency-Key` becomes the field of the same name; if both are there, they must agree. */
export const readIdempotencyHeader: Interceptor = (next) => (request) => {
  const key = request.header.get('idempotency-key');
  if (request.stream || request.method !== EventsService.method.createEvent || key === null) {
    return next(request);
  }
  if (key === '')
    throw new InvalidField('idempotency_key', 'must be 1–255 printable ASCII characters');
  const message = request.message as CreateEventRequest;
  if (message.idempotencyKey !== '' && message.idempotencyKey !== key) {
    throw new InvalidField('idempotency_key', 'must not differ from the header Idempotency-Key');
  }
  message.idempotencyKey = key;
  return next(request);
};
