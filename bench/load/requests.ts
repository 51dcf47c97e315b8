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
  CreateEventRequestSchema,
  RetrieveEventRequestSchema,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { newEvent } from '../workload.ts';
import type { LoadJob, Wire } from './job.ts';

/** The requests of a job: constant headers, and bodies of which only a key or an id varies. */
export interface Requests {
  readonly headers: OutgoingHttpHeaders;
  /** The next request's body: a new idempotency key, or the random id of an event. */
  nextBody(): Buffer;
}

/** An encoded body, and where in it the part stands that varies. */
interface BodyTemplate {
  readonly bytes: Buffer;
  readonly at: number;
}

const keyLength = 30;
const eventIdLength = 30;

export function createRequests(job: LoadJob): Requests {
  const headers = {
    ':method': 'POST',
    ':path': `/harbor.events.v1.EventsService/${job.rpc}`,
    authorization: `Bearer ${job.secretKey}`,
    ...(job.wire === 'grpc'
      ? { 'content-type': 'application/grpc+proto', te: 'trailers' }
      : { 'content-type': 'application/json', 'connect-protocol-version': '1' }),
  };
  const nextBody = job.rpc === 'CreateEvent' ? createBodies(job) : retrieveBodies(job);
  return { headers, nextBody };
}

/** Bodies that go round the workspaces, each with a key that no other process or job sends. */
function createBodies({ wire, workspaceIds }: LoadJob & { rpc: 'CreateEvent' }): () => Buffer {
  const placeholder = 'k'.repeat(keyLength);
  const templates = workspaceIds.map((workspaceId) =>
    toTemplate(wire, CreateEventRequestSchema, placeholder, {
      ...newEvent,
      workspaceId,
      idempotencyKey: placeholder,
    }),
  );
  const prefix = `bench-${randomBytes(6).toString('hex')}-`;
  let sent = 0;
  return () => {
    const template = templates[sent % templates.length] as BodyTemplate;
    return fill(template, `${prefix}${sent++}`.padEnd(keyLength, '.'));
  };
}

function retrieveBodies({ wire, eventIds }: LoadJob & { rpc: 'RetrieveEvent' }): () => Buffer {
  const placeholder = `evt_${'0'.repeat(eventIdLength - 4)}`;
  const template = toTemplate(wire, RetrieveEventRequestSchema, placeholder, { id: placeholder });
  return () => fill(template, eventIds[randomInt(eventIds.length)] as string);
}

function toTemplate<Desc extends DescMessage>(
  wire: Wire,
  schema: Desc,
  placeholder: string,
  init: MessageInitShape<Desc>,
): BodyTemplate {
  const message = create(schema, init);
  const bytes =
    wire === 'grpc'
      ? toEnvelope(toBinary(schema, message))
      : Buffer.from(toJsonString(schema, message));
  return { bytes, at: bytes.indexOf(placeholder) };
}

/** gRPC's frame: a byte of flags and four of length before the message. */
function toEnvelope(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([prefix, message]);
}

function fill({ bytes, at }: BodyTemplate, text: string): Buffer {
  const body = Buffer.from(bytes);
  body.write(text, at, 'latin1');
  return body;
}
