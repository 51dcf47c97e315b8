import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { createServer as createHttpsServer, type ServerOptions as HttpsOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { expect } from 'vitest';

/** A span as a collector gets it. */
export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: it begins its trace. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  readonly startNanos: bigint;
  readonly endNanos: bigint;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly isError: boolean;
  /** What is said of the whole process. */
  readonly resource: Readonly<Record<string, string | number>>;
}

/** How a batch is answered: with a status, or not at all. */
export type CollectorReply = number | 'nothing';

export interface Collector {
  /** What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to. */
  readonly endpoint: string;
  readonly spans: ReceivedSpan[];
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[];
  /** 200 unless set. */
  reply: CollectorReply;
  /** Waits until there are as many spans with a name. */
  waitFor(name: string, count?: number): Promise<ReceivedSpan[]>;
  close(): Promise<void>;
}

/**
 * Takes spans by OTLP over HTTP, in protobuf, on loopback.
 *
 * @param tls what it is known by, and asks for; without, it speaks plain text.
 */
export async function startCollector(tls?: HttpsOptions): Promise<Collector> {
  let closed: Promise<void> | undefined;
  const server = tls === undefined ? createServer() : createHttpsServer(tls);
  server.on('request', async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { url: path = '', headers } = request;
    const sent = Buffer.concat(chunks);
    const bytes = headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
    collector.requests.push({ path, headers });
    const { reply } = collector;
    if (reply === 'nothing') return;
    if (reply === 200) collector.spans.push(...readSpans(bytes));
    response.writeHead(reply, { 'content-type': 'application/x-protobuf' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const collector: Collector = {
    endpoint: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    spans: [],
    requests: [],
    reply: 200,
    async waitFor(name, count = 1) {
      const found = () => collector.spans.filter((span) => span.name === name);
      await expect
        .poll(() => found().length, { timeout: 20_000, interval: 10 })
        .toBeGreaterThanOrEqual(count);
      return found();
    },
    close() {
      closed ??= new Promise((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
  return collector;
}

/** A message of protobuf as its fields, by their numbers. */
type Fields = ReadonlyMap<number, readonly (Uint8Array | bigint)[]>;

function readFields(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, (Uint8Array | bigint)[]>();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const values = fields.get(number) ?? [];
    fields.set(number, values);
    if (type === WireType.LengthDelimited) values.push(reader.bytes());
    else if (type === WireType.Bit64) values.push(BigInt(reader.fixed64()));
    else if (type === WireType.Varint) values.push(BigInt(reader.uint64()));
    else reader.skip(type, number);
  }
  return fields;
}

const messagesOf = (fields: Fields, number: number) =>
  (fields.get(number) ?? []).map((value) => readFields(value as Uint8Array));
const numberOf = (fields: Fields, number: number) => (fields.get(number)?.at(-1) ?? 0n) as bigint;
const bytesOf = (fields: Fields, number: number) =>
  Buffer.from((fields.get(number)?.at(-1) ?? []) as Uint8Array);
const textOf = (fields: Fields, number: number) => bytesOf(fields, number).toString('utf8');
const hexOf = (fields: Fields, number: number) => bytesOf(fields, number).toString('hex');

/** By the numbers of opentelemetry.proto.trace.v1. */
function readSpans(bytes: Uint8Array): ReceivedSpan[] {
  return messagesOf(readFields(bytes), 1).flatMap((ofResource) => {
    const [resource] = messagesOf(ofResource, 1);
    const about = resource === undefined ? {} : readAttributes(resource, 1);
    return messagesOf(ofResource, 2)
      .flatMap((ofScope) => messagesOf(ofScope, 2))
      .map((span) => toSpan(span, about));
  });
}

const kinds = ['internal', 'internal', 'server', 'client', 'producer', 'consumer'] as const;

function toSpan(span: Fields, resource: ReceivedSpan['resource']): ReceivedSpan {
  const [status] = messagesOf(span, 15);
  return {
    name: textOf(span, 5),
    traceId: hexOf(span, 1),
    spanId: hexOf(span, 2),
    parentSpanId: hexOf(span, 4),
    traceState: textOf(span, 3),
    kind: kinds[Number(numberOf(span, 6))] ?? 'internal',
    startNanos: numberOf(span, 7),
    endNanos: numberOf(span, 8),
    attributes: readAttributes(span, 9),
    links: messagesOf(span, 13).map((link) => ({
      traceId: hexOf(link, 1),
      spanId: hexOf(link, 2),
    })),
    isError: status !== undefined && numberOf(status, 3) === 2n,
    resource,
  };
}

/** Texts and whole numbers, which are all that there are. */
function readAttributes(fields: Fields, number: number): Record<string, string | number> {
  return Object.fromEntries(
    messagesOf(fields, number).map((pair) => {
      const value = messagesOf(pair, 2)[0] ?? new Map();
      return [textOf(pair, 1), value.has(1) ? textOf(value, 1) : Number(numberOf(value, 3))];
    }),
  );
}
