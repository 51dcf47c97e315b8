/** A value that JSON can say. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;

/** A JSON object, the shape of a payload. Members that are absent read as undefined. */
export type JsonObject = { [member: string]: JsonValue };
