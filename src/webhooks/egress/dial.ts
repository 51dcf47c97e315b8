import type { LookupAddress, LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import { buildConnector } from 'undici';
import type { AddressPolicy } from './address-policy.ts';

/** The address may not be connected to; which one it was is nobody's business outside. */
export class AddressNotAllowed extends Error {
  override readonly name = 'AddressNotAllowed';

  constructor() {
    super('the address of this URL may not be connected to');
  }
}

/** All addresses of a name, as the system resolves it. */
export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>;

export interface DialOptions {
  readonly policy: AddressPolicy;
  readonly resolve: Resolve;
  readonly connectTimeoutMs: number;
  /** Certificates that are trusted beside the usual ones, in PEM. */
  readonly authorities: readonly string[];
}

type Lookup = (
  hostname: string,
  options: LookupOptions,
  callback: (error: Error | null, addresses: LookupAddress[] | string, family?: number) => void,
) => void;

/**
 * Connects to whatever a URL names, if that may be dialled. It is judged at each connection, on the addresses that are
 * then dialled: a name with a single one that is not allowed is refused, whatever it led to a moment ago.
 */
export function createDial(options: DialOptions): buildConnector.connector {
  const { policy, resolve, connectTimeoutMs, authorities } = options;
  const dial = (mayDial: (address: string) => boolean) => {
    const lookup: Lookup = (hostname, { all }, callback) => {
      resolve(hostname).then(
        (addresses) => {
          const isAllowed = addresses.length > 0 && addresses.every((one) => mayDial(one.address));
          const [first] = addresses;
          if (!isAllowed || first === undefined) callback(new AddressNotAllowed(), []);
          else if (all) callback(null, [...addresses]);
          else callback(null, first.address, first.family);
        },
        (error: Error) => callback(error, []),
      );
    };
    return buildConnector({
      lookup: lookup as never,
      timeout: connectTimeoutMs,
      maxCachedSessions: 1_000,
      ...(authorities.length > 0 && { ca: [...authorities] }),
    });
  };
  const plain = dial((address) => policy.isOpened(address));
  const secure = dial((address) => policy.mayDial(address));

  return (target, callback) => {
    const isSecure = target.protocol === 'https:';
    const address = target.hostname.replace(/^\[|\]$/g, '');
    // Nobody looks up what is an address already.
    const mayDial = isSecure ? policy.mayDial(address) : policy.isOpened(address);
    if (isIP(address) !== 0 && !mayDial) return callback(new AddressNotAllowed(), null);
    return (isSecure ? secure : plain)(target, callback);
  };
}
