import { create } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  type CreateEventRequest,
  CreateEventRequestSchema,
} from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';

/** Values of google.protobuf.Value as bytes, those that no library writes included. */
export const valueBytes = {
  withoutKind: () => new Uint8Array(),
  number: (value: number) => new BinaryWriter().tag(2, WireType.Bit64).double(value).finish(),
  /** Text of any bytes, whether they are UTF-8 or not. */
  text: (bytes: Uint8Array) =>
    new BinaryWriter().tag(3, WireType.LengthDelimited).bytes(bytes).finish(),
  list(...items: Uint8Array[]) {
    const list = new BinaryWriter();
    for (const item of items) list.tag(1, WireType.LengthDelimited).bytes(item);
    return new BinaryWriter().tag(6, WireType.LengthDelimited).bytes(list.finish()).finish();
  },
};

/** A google.protobuf.Struct with one member. */
export function structBytes(key: string | Uint8Array, value: Uint8Array): Uint8Array {
  const name = typeof key === 'string' ? Buffer.from(key) : key;
  const entry = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .bytes(name)
    .tag(2, WireType.LengthDelimited)
    .bytes(value)
    .finish();
  return new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(entry).finish();
}

/** `{"a":{"a":{"a":…}}}`, so many objects deep, in time that grows with the depth only. */
export function nestedStructBytes(levels: number): Uint8Array {
  const room = Buffer.alloc(levels * 20);
  let start = room.length;
  const prepend = (bytes: Uint8Array) => {
    start -= bytes.length;
    room.set(bytes, start);
  };
  const wrap = (field: number) =>
    prepend(
      new BinaryWriter()
        .tag(field, WireType.LengthDelimited)
        .uint32(room.length - start)
        .finish(),
    );
  for (let level = 1; level < levels; level++) {
    wrap(5); // Value.struct_value
    wrap(2); // the entry's value
    prepend(Buffer.from([0x0a, 0x01, 0x61])); // the entry's key, "a"
    wrap(1); // Struct.fields
  }
  return room.subarray(start);
}

/** A request whose payload is these bytes: a client of any binary wire sends them as they are. */
export function requestWithPayloadBytes(
  workspaceId: string,
  payload: Uint8Array,
): CreateEventRequest {
  const request = create(CreateEventRequestSchema, { workspaceId, type: 'bytes' });
  request.$unknown = [
    {
      no: CreateEventRequestSchema.field.payload.number,
      wireType: WireType.LengthDelimited,
      data: new BinaryWriter().bytes(payload).finish(),
    },
  ];
  return request;
}
