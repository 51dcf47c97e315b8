import { randomBytes, randomInt } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http2';
import {
  create,
  type DescMessage,
  type MessageInitShape,
  toBinary,
  toJsonString,
} from '@bufbuild/protobuf';
import {
  BatchCreateEventsRequestSchema,
  CreateEventRequestSchema,
  ListEventsRequestSchema,
  RetrieveEventRequestSchema,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { newEvent } from '../workload.ts';
import type { LoadCalls, Wire } from './job.ts';

/** The requests of a job: constant headers, and bodies of which only a key or an id varies. */
export interface Requests {
  readonly headers: OutgoingHttpHeaders;
  /** The next request's body: a new idempotency key, or the random id of an event. */
  nextBody(): Buffer;
}

/** An encoded body, and where in it the parts stand that vary. */
interface BodyTemplate {
  readonly bytes: Buffer;
  readonly places: readonly number[];
}

const keyLength = 30;
const eventIdLength = 30;

export function createRequests(job: LoadCalls): Requests {
  const headers = {
    ':method': 'POST',
    ':path': `/harbor.events.v1.EventsService/${job.rpc}`,
    authorization: `Bearer ${job.secretKey}`,
    ...(job.wire === 'grpc'
      ? { 'content-type': 'application/grpc+proto', te: 'trailers' }
      : { 'content-type': 'application/json', 'connect-protocol-version': '1' }),
  };
  return { headers, nextBody: nextBodyOf(job) };
}

function nextBodyOf(job: LoadCalls): () => Buffer {
  switch (job.rpc) {
    case 'CreateEvent':
      return createBodies(job);
    case 'BatchCreateEvents':
      return batchBodies(job);
    case 'ListEvents':
      return listBodies(job);
    case 'RetrieveEvent':
      return retrieveBodies(job);
  }
}

/** Bodies that go round the workspaces, each with a key that no other process or job sends. */
function createBodies({ wire, workspaceIds }: LoadCalls & { rpc: 'CreateEvent' }): () => Buffer {
  const placeholder = 'k'.repeat(keyLength);
  const templates = workspaceIds.map((workspaceId) =>
    toTemplate(wire, CreateEventRequestSchema, placeholder, {
      ...newEvent,
      workspaceId,
      idempotencyKey: placeholder,
    }),
  );
  return keyedBodies(templates);
}

/** As `createBodies`: each batch is of one workspace, and each of its events has a key of its own. */
function batchBodies({
  wire,
  workspaceIds,
  batchEvents,
}: LoadCalls & { rpc: 'BatchCreateEvents' }): () => Buffer {
  const placeholder = 'k'.repeat(keyLength);
  const templates = workspaceIds.map((workspaceId) => {
    const request = { ...newEvent, workspaceId, idempotencyKey: placeholder };
    const requests = Array.from({ length: batchEvents }, () => request);
    return toTemplate(wire, BatchCreateEventsRequestSchema, placeholder, { requests });
  });
  return keyedBodies(templates);
}

function keyedBodies(templates: readonly BodyTemplate[]): () => Buffer {
  const prefix = `bench-${randomBytes(6).toString('hex')}-`;
  let bodies = 0;
  let keys = 0;
  const nextKey = () => `${prefix}${keys++}`.padEnd(keyLength, '.');
  return () => fill(templates[bodies++ % templates.length] as BodyTemplate, nextKey);
}

/** The same page again and again. */
function listBodies({
  wire,
  workspaceId,
  pageSize,
}: LoadCalls & { rpc: 'ListEvents' }): () => Buffer {
  const body = encode(wire, ListEventsRequestSchema, { workspaceId, pageSize });
  return () => body;
}

function retrieveBodies({ wire, eventIds }: LoadCalls & { rpc: 'RetrieveEvent' }): () => Buffer {
  const placeholder = `evt_${'0'.repeat(eventIdLength - 4)}`;
  const template = toTemplate(wire, RetrieveEventRequestSchema, placeholder, { id: placeholder });
  return () => fill(template, () => eventIds[randomInt(eventIds.length)] as string);
}

function toTemplate<Desc extends DescMessage>(
  wire: Wire,
  schema: Desc,
  placeholder: string,
  init: MessageInitShape<Desc>,
): BodyTemplate {
  const bytes = encode(wire, schema, init);
  const places: number[] = [];
  for (let at = bytes.indexOf(placeholder); at >= 0; at = bytes.indexOf(placeholder, at + 1)) {
    places.push(at);
  }
  return { bytes, places };
}

function encode<Desc extends DescMessage>(
  wire: Wire,
  schema: Desc,
  init: MessageInitShape<Desc>,
): Buffer {
  const message = create(schema, init);
  return wire === 'grpc'
    ? toEnvelope(toBinary(schema, message))
    : Buffer.from(toJsonString(schema, message));
}

/** gRPC's frame: a byte of flags and four of length before the message. */
function toEnvelope(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([prefix, message]);
}

function fill({ bytes, places }: BodyTemplate, nextText: () => string): Buffer {
  const body = Buffer.from(bytes);
  for (const at of places) body.write(nextText(), at, 'latin1');
  return body;
}
