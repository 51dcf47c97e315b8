import { strictJson } from '../rpc/strict-json.ts';

/** How messages are read and written for the REST face: by the contract's names, and unknown ones refused. */
export const restJson = {
  ...strictJson,
  useProtoFieldName: true,
  alwaysEmitImplicit: true,
  ignoreUnknownFields: false,
};
