import {
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  ScalarType,
} from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import { EventSchema } from '../../../gen/typescript/harbor/events/v1/event_pb.ts';
import { fromEventProtoJson } from '../../events/index.ts';
import type { RestRoute } from './rest-routes.ts';

/**
 * What a route answers, from the RPC's response in ProtoJSON with the contract's field names and every field
 * that may be empty.
 */
export function toAnswerJson({ rpc, answer }: RestRoute, response: JsonObject): JsonObject {
  // The response itself says all, an empty `next_page_token` among it.
  if (!answer?.message) return toRest(rpc.output, response, () => true);
  return toResourceJson(answer.message, response[answer.name] as JsonObject);
}

/**
 * A message that a response holds: 64-bit integers are numbers, of which none here exceeds 2⁵³, and empty texts
 * and maps are left out, since they mean that nothing was given. Events are written where all write them.
 */
function toResourceJson(resource: DescMessage, json: JsonObject): JsonObject {
  if (resource.typeName === EventSchema.typeName) return { ...fromEventProtoJson(json) };
  return toRest(resource, json, isTold);
}

/**
 * Whether an answer has a field in any case, so that clients can rely on it.
 *
 * @param isWhole of a response itself.
 */
export function isAlwaysTold(field: DescField, isWhole: boolean): boolean {
  if (field.presence !== FeatureSet_FieldPresence.IMPLICIT) return false;
  return isWhole || (field.fieldKind !== 'map' && field.scalar !== ScalarType.STRING);
}

function isTold(field: DescField, value: JsonValue): boolean {
  if (field.fieldKind === 'map') return Object.keys(value as JsonObject).length > 0;
  return value !== '';
}

function toRest(
  { fields }: DescMessage,
  json: JsonObject,
  isKept: (field: DescField, value: JsonValue) => boolean,
): JsonObject {
  const told: JsonObject = {};
  for (const field of fields) {
    const value = json[field.name];
    if (value !== undefined && isKept(field, value)) told[field.name] = toRestValue(field, value);
  }
  return told;
}

function toRestValue(field: DescField, value: JsonValue): JsonValue {
  if (field.scalar === ScalarType.INT64) return Number(value);
  // What protobuf itself brings along is written in JSON as it is.
  if (!field.message || field.message.typeName.startsWith('google.protobuf.')) return value;
  const { message } = field;
  if (field.fieldKind === 'message') return toResourceJson(message, value as JsonObject);
  if (field.fieldKind === 'list') {
    return (value as JsonObject[]).map((item) => toResourceJson(message, item));
  }
  return value;
}
