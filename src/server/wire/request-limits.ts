import { type DescMethod, getOption } from '@bufbuild/protobuf';
import { required_scope } from '../../../gen/typescript/harbor/api_keys/v1/required_scope_pb.ts';
import { EventsService } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { batchBytesMax, requestBytesMax, requestBytesWithoutKeyMax } from '../limits.ts';

/** The largest message of an RPC, as sent and as inflated. */
export function messageBytesMaxOf(method: DescMethod): number {
  if (method === EventsService.method.batchCreateEvents) return batchBytesMax;
  return getOption(method, required_scope) === '' ? requestBytesWithoutKeyMax : requestBytesMax;
}

/** The largest body of a path's requests; what is no path of ours reads none. */
export function createRequestLimits(
  rpcs: ReadonlyMap<string, { readonly method: DescMethod }>,
): (path: string) => number {
  const ofRpcs = new Map([...rpcs].map(([path, { method }]) => [path, messageBytesMaxOf(method)]));
  return (path) =>
    ofRpcs.get(path) ?? (path.startsWith('/v1/') ? requestBytesMax : requestBytesWithoutKeyMax);
}
