import type { ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
} from '../../../gen/typescript/google/rpc/error_details_pb.ts';
import { amendError } from '../rpc/connect-internals.ts';

/**
 * How much an error may tell. gRPC carries it in trailers, the text in percent-encoding and again, with the
 * details, in Base64; most clients take 8 KB of them, some less, and lose the call or its connection over
 * more. With these bounds the trailers stay below 4 KB, whatever field, value or header the error is about.
 */
const messageCostMax = 2_000;
const violationsMax = 16;
const violationsBytesMax = 900;
const textBytesMax = 200;

export interface Violation {
  readonly field: string;
  readonly description: string;
}

/** The first violations, as many as an error has room for; at least one. */
export function firstViolations(violations: readonly Violation[]): Violation[] {
  const told: Violation[] = [];
  let bytes = 0;
  for (const { field, description } of violations.slice(0, violationsMax)) {
    const one = { field: cut(field, textBytesMax), description: cut(description, textBytesMax) };
    bytes += Buffer.byteLength(one.field) + Buffer.byteLength(one.description);
    if (bytes > violationsBytesMax && told.length > 0) break;
    told.push(one);
  }
  return told;
}

/** Cuts text and details of an error down to what it may tell, and makes them well-formed Unicode. */
export function limitError(error: ConnectError): void {
  amendError(error, { rawMessage: cutMessage(error.rawMessage) });
  for (const detail of error.details) {
    if (!('desc' in detail)) continue;
    const { desc, value } = detail as {
      desc: { typeName: string };
      value: Record<string, unknown>;
    };
    if (desc.typeName === BadRequestSchema.typeName) {
      value.fieldViolations = firstViolations(value.fieldViolations as Violation[]);
    } else if (desc.typeName === ErrorInfoSchema.typeName) {
      value.metadata = cutValues(value.metadata as Record<string, string>);
    }
  }
}

function cutValues(metadata: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [name, cut(value, textBytesMax)]),
  );
}

function cutMessage(message: string): string {
  let told = cut(message, messageCostMax);
  for (let cost = costOf(told); cost > messageCostMax; cost = costOf(told)) {
    told = cut(told, Math.floor((Buffer.byteLength(told) * messageCostMax) / cost) - 1);
  }
  return told;
}

/** The bytes that a text takes in trailers. */
function costOf(message: string): number {
  return encodeURIComponent(message).length + (Buffer.byteLength(message) * 4) / 3;
}

/** The beginning of a text in at most so many bytes of UTF-8, and a sign that there was more. */
function cut(text: string, bytesMax: number): string {
  const wellFormed = text.toWellFormed();
  if (wellFormed.length * 3 <= bytesMax || Buffer.byteLength(wellFormed) <= bytesMax) {
    return wellFormed;
  }
  const room = bytesMax - Buffer.byteLength('…');
  const beginning = Buffer.from(wellFormed.slice(0, room)).subarray(0, room).toString('utf8');
  // Half a character at the end has become U+FFFD.
  return `${beginning.replace(/\ufffd+$/, '')}…`;
}
