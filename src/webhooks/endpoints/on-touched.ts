/** Hears that something about an endpoint was changed, once it is on disk; the id is a UUID. */
export type OnTouched = (endpointUuid: string) => void;
