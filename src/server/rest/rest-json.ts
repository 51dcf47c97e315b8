import { strictJson } from '../rpc/strict-json.ts';

/** How messages are read and written for the REST face: by the contract's names. */
export const restJson = {
  ...strictJson,
  useProtoFieldName: true,
  alwaysEmitImplicit: true,
};
