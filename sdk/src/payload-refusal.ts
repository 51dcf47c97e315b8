import { InvalidRequestError } from './errors.ts';

/** The error of a payload that cannot be sent: where in it, and what to do. */
export function refusePayload(path: string, description: string): InvalidRequestError {
  return new InvalidRequestError(`${path} ${description}`, [{ field: path, description }], {
    code: 'invalid_argument',
    reason: 'PAYLOAD_INVALID',
  });
}
