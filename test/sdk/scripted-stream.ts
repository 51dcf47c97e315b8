import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ConnectError } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { endStreamFlag, endStreamToJson } from '@connectrpc/connect/protocol-connect';
import { onTestFinished } from 'vitest';
import {
  type SubscribeEventsRequest,
  SubscribeEventsRequestSchema,
  SubscribeEventsResponseSchema,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';

/** A message of a stream, as the contract has it. */
export type StreamMessage = MessageInitShape<typeof SubscribeEventsResponseSchema>;

/** What a connection does; without a step, a connection says nothing and stays. */
export type StreamStep = (connection: ServerConnection) => void | Promise<void>;

export interface ScriptedStreamServer {
  readonly baseUrl: string;
  /** What was asked for, connection by connection. */
  readonly requests: SubscribeEventsRequest[];
  /** `after_sequence` of each connection; undefined: from now. */
  readonly resumedAfter: () => (number | undefined)[];
}

/** Starts SubscribeEvents on loopback, down to the bytes; each connection takes the next step. */
export async function startScriptedStream(
  script: readonly StreamStep[],
): Promise<ScriptedStreamServer> {
  const steps = [...script];
  const requests: SubscribeEventsRequest[] = [];
  const server = createServer(async (request, response) => {
    const parsed = await readRequest(request);
    requests.push(parsed);
    await steps.shift()?.(new ServerConnection(parsed, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    requests,
    resumedAfter: () =>
      requests.map(({ afterSequence }) =>
        afterSequence === undefined ? undefined : Number(afterSequence),
      ),
  };
}

/** The server's side of one connection. */
export class ServerConnection {
  readonly request: SubscribeEventsRequest;
  /** Resolves when the client is gone. */
  readonly closed: Promise<void>;
  readonly #response: ServerResponse;

  constructor(request: SubscribeEventsRequest, response: ServerResponse) {
    this.request = request;
    this.#response = response;
    this.closed = new Promise((resolve) => response.once('close', () => resolve()));
    response.setHeader('content-type', 'application/connect+proto');
    response.setHeader('x-request-id', 'req_1');
  }

  send(...messages: StreamMessage[]): Promise<void> {
    return this.sendBytes(encodeMessages(messages));
  }

  /** Resolves when the bytes are with the kernel. */
  sendBytes(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.#response.write(bytes, () => resolve()));
  }

  /** Ends the stream as the protocol has it, with an error or without. */
  end(error?: ConnectError): void {
    this.#response.end(encodeEnd(error));
  }

  /** Ends the answer in good order, wherever the stream is, as a proxy does. */
  close(): void {
    this.#response.end();
  }

  reset(): void {
    this.#response.socket?.resetAndDestroy();
  }

  /** Answers with another status, as a proxy does. */
  refuse(status: number): void {
    this.#response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>No</h1>');
  }
}

export function encodeMessages(messages: readonly StreamMessage[]): Uint8Array {
  return Buffer.concat(
    messages.map((message) => {
      const whole = create(SubscribeEventsResponseSchema, message);
      return encodeEnvelope(0, toBinary(SubscribeEventsResponseSchema, whole));
    }),
  );
}

export function encodeEnd(error?: ConnectError): Uint8Array {
  const json = endStreamToJson(new Headers(), error, undefined);
  return encodeEnvelope(endStreamFlag, Buffer.from(JSON.stringify(json)));
}

export function eventMessage(sequence: number, moveTo = sequence): StreamMessage {
  return {
    sequence: BigInt(moveTo),
    message: {
      case: 'event',
      value: {
        id: `evt_${String(sequence).padStart(26, '0')}`,
        type: 'invoice.paid',
        workspaceId: 'ws_1',
        payload: { line_count: sequence },
        createdAt: timestampFromDate(new Date('2026-05-25T12:00:00Z')),
        sequence: BigInt(sequence),
      },
    },
  };
}

export const caughtUp = (sequence: number): StreamMessage => ({
  sequence: BigInt(sequence),
  message: { case: 'caughtUp', value: {} },
});

export const heartbeat = (sequence: number): StreamMessage => ({
  sequence: BigInt(sequence),
  message: { case: 'heartbeat', value: {} },
});

/** A connection that sends messages, and stays. */
export function tell(...messages: StreamMessage[]): StreamStep {
  return (connection) => connection.send(...messages);
}

/** A connection that sends messages, and is closed in good order, half-way. */
export function cutAfter(...messages: StreamMessage[]): StreamStep {
  return async (connection) => {
    await connection.send(...messages);
    connection.close();
  };
}

/** A connection that sends messages, and ends with an error. */
export function failWith(error: ConnectError, ...messages: StreamMessage[]): StreamStep {
  return async (connection) => {
    if (messages.length > 0) await connection.send(...messages);
    connection.end(error);
  };
}

async function readRequest(request: IncomingMessage): Promise<SubscribeEventsRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const envelope = Buffer.concat(chunks);
  return fromBinary(SubscribeEventsRequestSchema, envelope.subarray(5));
}
