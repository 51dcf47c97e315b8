import { createConnectRouter, createContextValues, type ServiceImpl } from '@connectrpc/connect';
import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from '@connectrpc/connect/protocol';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';

type RouterOptions = NonNullable<Parameters<typeof createConnectRouter>[0]>;
type Implementation = Partial<ServiceImpl<typeof EventsService>>;

/** The ways in which a unary RPC and a stream are called. */
export const unaryTypes = [
  'application/grpc+proto',
  'application/grpc-web+proto',
  'application/json',
  'application/proto',
] as const;
export const streamTypes = [
  'application/grpc+proto',
  'application/grpc+json',
  'application/grpc-web+proto',
  'application/connect+json',
  'application/connect+proto',
] as const;

/** Connect's own handlers of EventsService, without anything of the service around them. */
export function createPlainHandlers(
  implementation: Implementation,
  options: RouterOptions = {},
): { readonly unary: UniversalHandler; readonly stream: UniversalHandler } {
  const router = createConnectRouter(options).service(EventsService, implementation);
  const find = (name: string) =>
    router.handlers.find(({ method }) => method.name === name) as UniversalHandler;
  return { unary: find('RetrieveEvent'), stream: find('SubscribeEvents') };
}

/** How Connect has answered: what its client would make of that. */
export interface PlainAnswer {
  readonly status: number;
  /** 0 is OK, as in gRPC. */
  readonly code: number | string;
  readonly message: string;
  readonly trailer: Record<string, string>;
  /** As it would go over the wire. */
  readonly bytes: Buffer;
}

/** Calls a handler with bytes. */
export async function callPlain(
  handler: UniversalHandler,
  contentType: string,
  body: UniversalServerRequest['body'] | Uint8Array = new Uint8Array(5),
  more: { header?: Record<string, string>; values?: UniversalServerRequest['contextValues'] } = {},
): Promise<PlainAnswer> {
  const response = await handler({
    httpVersion: '2.0',
    method: 'POST',
    url: 'http://plain',
    header: new Headers({ 'content-type': contentType, ...more.header }),
    body: body instanceof Uint8Array ? once(body) : body,
    signal: new AbortController().signal,
    contextValues: more.values ?? createContextValues(),
  });
  return readAnswer(contentType, response);
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

export async function readAnswer(
  contentType: string,
  { status, body, trailer }: UniversalServerResponse,
): Promise<PlainAnswer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body ?? []) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  if (!/grpc/.test(contentType)) return { status, bytes, ...readConnect(contentType, bytes) };
  const isWeb = /grpc-web/.test(contentType);
  const fields = isWeb
    ? [...`${lastEnvelope(bytes)}`.matchAll(/([\w-]+): ?(.*)\r\n/g)].map(([, name, value]) => [
        name,
        value,
      ])
    : [...(trailer ?? [])];
  const read = Object.fromEntries(fields) as Record<string, string>;
  const message = decodeURIComponent(read['grpc-message'] ?? '');
  return { status, bytes, code: Number(read['grpc-status']), message, trailer: read };
}

function readConnect(contentType: string, bytes: Buffer): Omit<PlainAnswer, 'status' | 'bytes'> {
  const isStream = contentType.includes('connect');
  const text = `${isStream ? lastEnvelope(bytes) : bytes}`;
  const json = text.startsWith('{') ? JSON.parse(text) : {};
  const { code = 0, message = '' } = (isStream ? json.error : json) ?? {};
  const fields = Object.entries<string[]>(json.metadata ?? {});
  const trailer = Object.fromEntries(fields.map(([name, values]) => [name, values.join(', ')]));
  return { code, message, trailer };
}

/** What is in the last envelope of a stream. */
function lastEnvelope(bytes: Buffer): Buffer {
  let rest = bytes;
  while (rest.length > 5 + rest.readUInt32BE(1)) rest = rest.subarray(5 + rest.readUInt32BE(1));
  return rest.subarray(5);
}
