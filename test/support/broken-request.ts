import { gzipSync } from 'node:zlib';
import { create, type DescMessage, toBinary, toJsonString } from '@bufbuild/protobuf';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { Health } from '../../gen/typescript/health/v1/health_pb.ts';
import { envelope } from './raw-call.ts';
import type { TestService } from './test-service.ts';

/** Every kind of call, and the ways in which its bytes are written. */
export const callKinds = [
  'create',
  'batch',
  'list',
  'retrieve',
  'stream',
  'check',
  'watch',
] as const;
export const callForms = ['grpc', 'grpc-web', 'connect proto', 'connect json', 'rest'] as const;
export type CallKind = (typeof callKinds)[number];
export type CallForm = (typeof callForms)[number];

export interface CallShape {
  readonly kind: CallKind;
  readonly form: CallForm;
  readonly key: 'good' | 'unknown' | 'none';
  readonly isCompressed: boolean;
  /** Undefined: as long as it likes. */
  readonly timeoutMs: number | undefined;
}

/** A request before it is put into one version of HTTP. */
export interface PlainRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export function toPlainRequest(service: TestService, shape: CallShape): PlainRequest {
  const { method, path, headers, body } =
    findRest(service, shape) ?? toRpc(shape, messageOf(service, shape.kind));
  const secrets = { good: service.secretKey, unknown: `sk_${'x'.repeat(43)}`, none: undefined };
  const secret = secrets[shape.key];
  return {
    method,
    path,
    body,
    headers: { ...headers, ...(secret !== undefined && { authorization: `Bearer ${secret}` }) },
  };
}

const longText = 'x'.repeat(20_000);

interface Message {
  readonly rpc: { readonly name: string; readonly input: DescMessage; readonly methodKind: string };
  readonly service: string;
  readonly init: Record<string, unknown>;
}

function messageOf({ workspaceId }: TestService, kind: CallKind): Message {
  const newEvent = { workspaceId, type: 'broken', payload: { text: longText } };
  const { method, typeName } = EventsService;
  const ofEvents = (rpc: Message['rpc'], init: Record<string, unknown>) => ({
    rpc,
    service: typeName,
    init,
  });
  const ofHealth = (rpc: Message['rpc']) => ({ rpc, service: Health.typeName, init: {} });
  switch (kind) {
    case 'create':
      return ofEvents(method.createEvent, newEvent);
    case 'batch':
      return ofEvents(method.batchCreateEvents, { requests: [newEvent, newEvent, newEvent] });
    case 'list':
      return ofEvents(method.listEvents, { workspaceId, pageSize: 100 });
    case 'retrieve':
      return ofEvents(method.retrieveEvent, { id: 'evt_01hzy9q7x8f4kq3d2m5n6p7r8s' });
    case 'stream':
      return ofEvents(method.subscribeEvents, { workspaceId, afterSequence: 0n });
    case 'check':
      return ofHealth(Health.method.check);
    case 'watch':
      return ofHealth(Health.method.watch);
  }
}

function toRpc({ form, isCompressed, timeoutMs }: CallShape, { rpc, service, init }: Message) {
  const message = create(rpc.input, init);
  const isJson = form === 'connect json';
  const bytes = isJson
    ? Buffer.from(toJsonString(rpc.input, message))
    : Buffer.from(toBinary(rpc.input, message));
  const sent = isCompressed ? gzipSync(bytes) : bytes;
  const isGrpc = form.startsWith('grpc');
  const hasEnvelope = isGrpc || rpc.methodKind !== 'unary';
  const codec = isJson ? 'json' : 'proto';
  const ofConnect = hasEnvelope ? `connect+${codec}` : codec;
  const ofStreams = hasEnvelope ? 'connect-content-encoding' : 'content-encoding';
  return {
    method: 'POST' as const,
    path: `/${service}/${rpc.name}`,
    headers: {
      'content-type': `application/${isGrpc ? `${form}+proto` : ofConnect}`,
      ...(isCompressed && { [isGrpc ? 'grpc-encoding' : ofStreams]: 'gzip' }),
      ...(timeoutMs !== undefined &&
        (isGrpc ? { 'grpc-timeout': `${timeoutMs}m` } : { 'connect-timeout-ms': `${timeoutMs}` })),
    },
    body: hasEnvelope ? envelope(isCompressed ? 1 : 0, sent) : sent,
  };
}

/** Undefined for what REST does not have. */
function findRest({ workspaceId }: TestService, { kind, form, isCompressed }: CallShape) {
  if (form !== 'rest') return undefined;
  const get = (path: string) => ({
    method: 'GET' as const,
    path,
    headers: {},
    body: Buffer.alloc(0),
  });
  switch (kind) {
    case 'create': {
      const event = { workspace_id: workspaceId, type: 'broken', payload: { text: longText } };
      const body = Buffer.from(JSON.stringify(event));
      return {
        method: 'POST' as const,
        path: '/v1/events',
        headers: {
          'content-type': 'application/json',
          ...(isCompressed && { 'content-encoding': 'gzip' }),
        },
        body: isCompressed ? gzipSync(body) : body,
      };
    }
    case 'list':
      return get(`/v1/events?workspace_id=${workspaceId}&page_size=100`);
    case 'retrieve':
      return get('/v1/events/evt_01hzy9q7x8f4kq3d2m5n6p7r8s');
    case 'stream':
      return get(`/v1/events/stream?workspace_id=${workspaceId}&after_sequence=0`);
    case 'check':
      return get('/readyz');
    default:
      return undefined;
  }
}
