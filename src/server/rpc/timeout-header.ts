import { InvalidField } from '../errors/request-errors.ts';
import { timeoutMsMax } from '../limits.ts';

/** How many milliseconds the units of gRPC are. */
const unitMs = new Map([
  ['H', 3_600_000],
  ['M', 60_000],
  ['S', 1_000],
  ['m', 1],
  ['u', 1e-3],
  ['n', 1e-6],
]);

/**
 * Refuses a longer timeout than a call may have. Connect does so, too, but starts its timer before; one of
 * more than 2³¹ ms goes off at once and has Node print a warning, for callers without a key as well.
 *
 * @throws InvalidField
 */
export function checkTimeout(header: Headers): void {
  const ofConnect = header.get('connect-timeout-ms');
  if (ofConnect !== null && Number(ofConnect) > timeoutMsMax) {
    throw new InvalidField('connect-timeout-ms', `must be at most ${timeoutMsMax}`);
  }
  const [, amount, unit = ''] =
    /^(\d{1,8})([HMSmun])$/.exec(header.get('grpc-timeout') ?? '') ?? [];
  if (Number(amount) * (unitMs.get(unit) ?? 0) > timeoutMsMax) {
    throw new InvalidField('grpc-timeout', `must be at most ${timeoutMsMax / 1000}S`);
  }
}
