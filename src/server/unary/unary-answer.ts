import type { Compression } from '@connectrpc/connect/protocol';
import { compressedBytesMin } from '../limits.ts';
import { compressedFlag, encodeEnvelope } from '../rpc/connect-internals.ts';
import type { ExchangeResponse } from '../wire/exchange.ts';
import { HeaderFields } from '../wire/header-fields.ts';
import type { UnaryContext } from './unary-context.ts';
import type { UnaryForm } from './unary-form.ts';

/** What is answered to a call that went well. */
export interface UnaryAnswer {
  readonly form: UnaryForm;
  /** The message as its codec writes it. */
  readonly bytes: Uint8Array;
  /** What the handler adds. */
  readonly added: UnaryContext['added'];
  /** How the caller wants larger answers compressed. */
  readonly compression: Compression | null;
}

type Writer = (answer: UnaryAnswer) => ExchangeResponse | Promise<ExchangeResponse>;

/** Marks the envelope of gRPC-Web that holds what gRPC has in trailers. */
const trailerFlag = 0b1000_0000;
const ok = { 'grpc-status': '0' };
const text = new TextEncoder();
const okInBody = encodeEnvelope(trailerFlag, text.encode('grpc-status: 0\r\n'));

/** Writes the answer to a call that went well, as its protocol has it. */
export function writeUnaryAnswer(answer: UnaryAnswer): ReturnType<Writer> {
  switch (answer.form.protocol.status) {
    case 'nowhere':
      return writeConnect(answer);
    case 'in trailers':
      return writeGrpc(answer);
    case 'in the body':
      return writeGrpcWeb(answer);
  }
}

const writeConnect: Writer = (answer) => {
  const { form, bytes, compression, added } = answer;
  const { contentType, protocol } = form;
  if (compression === null || bytes.byteLength < compressedBytesMin) {
    return {
      ...whole(bytes),
      header: connectHeader({ 'content-type': contentType }, bytes, added),
    };
  }
  return compression.compress(bytes).then((body) => {
    const fields = { 'content-type': contentType, [protocol.encodingHeader]: compression.name };
    return { ...whole(body), header: connectHeader(fields, body, added) };
  });
};

/** Connect has no trailers here: they are headers, and begin with a word of theirs. */
function connectHeader(
  fields: Record<string, string>,
  body: Uint8Array,
  { header: more, trailer }: UnaryAnswer['added'],
): Headers {
  const header = withAdded({ ...fields, 'content-length': `${body.byteLength}` }, more);
  trailer?.forEach((value, name) => {
    header.append(`trailer-${name}`, value);
  });
  return header;
}

const writeGrpc: Writer = (answer) => {
  const envelope = enclose(0, answer.bytes, answer.compression);
  const respond = (body: Uint8Array): ExchangeResponse => ({
    ...whole(body),
    header: grpcHeader(answer),
    trailer: withAdded(ok, answer.added.trailer),
  });
  return envelope instanceof Promise ? envelope.then(respond) : respond(envelope);
};

const writeGrpcWeb: Writer = (answer) => {
  const { bytes, compression, added } = answer;
  const parts = [enclose(0, bytes, compression), encloseTrailer(added.trailer, compression)];
  const respond = (body: readonly Uint8Array[]): ExchangeResponse => ({
    ...whole(Buffer.concat(body)),
    header: grpcHeader(answer),
  });
  return parts.some((part) => part instanceof Promise)
    ? Promise.all(parts).then(respond)
    : respond(parts as Uint8Array[]);
};

function encloseTrailer(trailer: Headers | undefined, compression: Compression | null) {
  if (trailer === undefined) return okInBody;
  const lines: string[] = [];
  // In the platform's order, which is that of names.
  new Headers(withAdded(ok, trailer)).forEach((value, name) => {
    lines.push(`${name}: ${value}\r\n`);
  });
  return enclose(trailerFlag, text.encode(lines.join('')), compression);
}

function enclose(
  flags: number,
  bytes: Uint8Array,
  compression: Compression | null,
): Uint8Array | Promise<Uint8Array> {
  if (compression === null || bytes.byteLength < compressedBytesMin) {
    return encodeEnvelope(flags, bytes);
  }
  return compression
    .compress(bytes)
    .then((compressed) => encodeEnvelope(flags | compressedFlag, compressed));
}

/** Says how larger messages are compressed, also where this one is not. */
function grpcHeader({ form, compression, added }: UnaryAnswer): Headers {
  const { contentType, protocol } = form;
  const fields = {
    'content-type': contentType,
    ...(compression !== null && { [protocol.encodingHeader]: compression.name }),
  };
  return withAdded(fields, added.header);
}

function withAdded(fields: Record<string, string>, added: Headers | undefined): Headers {
  const header = new HeaderFields(fields);
  added?.forEach((value, name) => {
    header.set(name, value);
  });
  return header;
}

const whole = (body: Uint8Array) => ({ status: 200, body, unary: true }) as const;
