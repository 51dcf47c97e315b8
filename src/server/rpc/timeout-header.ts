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
 * How long a call may take, in milliseconds; undefined for one that does not say. Connect reads these headers, too,
 * but starts its timer before it refuses a long one; and one of more than 2³¹ ms goes off at once and has Node print
 * a warning, for callers without a key as well.
 *
 * @throws InvalidField for what is no timeout, or longer than a call may take.
 */
export function readTimeoutMs(header: Headers): number | undefined {
  const isGrpc = /^application\/grpc/i.test(header.get('content-type') ?? '');
  return isGrpc ? ofGrpc(header.get('grpc-timeout')) : ofConnect(header.get('connect-timeout-ms'));
}

function ofConnect(text: string | null): number | undefined {
  if (text === null) return undefined;
  const name = 'connect-timeout-ms';
  if (!/^\d{1,10}$/.test(text)) throw new InvalidField(name, 'must be 1–10 digits');
  if (Number(text) > timeoutMsMax) throw new InvalidField(name, `must be at most ${timeoutMsMax}`);
  return Number(text);
}

function ofGrpc(text: string | null): number | undefined {
  if (text === null) return undefined;
  const name = 'grpc-timeout';
  const [, amount, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  if (amount === undefined) {
    throw new InvalidField(name, 'must be 1–8 digits and a unit, H, M, S, m, u or n');
  }
  const timeoutMs = Number(amount) * (unitMs.get(unit) ?? 0);
  if (timeoutMs > timeoutMsMax) {
    throw new InvalidField(name, `must be at most ${timeoutMsMax / 1000}S`);
  }
  return timeoutMs;
}
