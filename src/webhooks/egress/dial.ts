import type { LookupAddress, LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import { createSecureContext, getCACertificates } from 'node:tls';
import { buildConnector } from 'undici';
import type { AddressPolicy } from './address-policy.ts';
import { limitAnswers } from './answer-limit.ts';
import type { Resolve } from './resolve.ts';

/** The address may not be connected to; which one it was is nobody's business outside. */
export class AddressNotAllowed extends Error {
  override readonly name = 'AddressNotAllowed';

  constructor() {
    super('the address of this URL may not be connected to');
  }
}

export interface DialOptions {
  readonly policy: AddressPolicy;
  readonly resolve: Resolve;
  readonly connectTimeoutMs: number;
  /** Certificates that are trusted beside the usual ones, in PEM. */
  readonly authorities: readonly string[];
}

/** Addresses of one name that are tried for a connection: a name with thousands is no way to knock on all of them. */
const addressesMax = 6;
const sessionsMax = 1_000;

/**
 * Connects to whatever a URL names, if that may be dialled. It is judged at each connection, on the addresses that are
 * then dialled: a name with a single one that is not allowed is refused, whatever it led to a moment ago.
 */
export function createDial(options: DialOptions): buildConnector.connector {
  const { policy, resolve, connectTimeoutMs, authorities } = options;
  const common = { timeout: connectTimeoutMs, allowH2: false };
  const plain = buildConnector({ ...common, lookup: vetted(resolve, policy.isOpened) as never });
  const secure = buildConnector({
    ...common,
    lookup: vetted(resolve, policy.mayDial) as never,
    maxCachedSessions: sessionsMax,
    // Said aloud, as the environment of Node could say otherwise.
    rejectUnauthorized: true,
    ...(authorities.length > 0 && { secureContext: trusting(authorities) }),
  });

  return (target, callback) => {
    const isSecure = target.protocol === 'https:';
    const address = target.hostname.replace(/^\[|\]$/g, '');
    const mayDial = isSecure ? policy.mayDial : policy.isOpened;
    // Nobody looks up what is an address already.
    if (isIP(address) !== 0 && !mayDial(address)) return callback(new AddressNotAllowed(), null);
    return (isSecure ? secure : plain)(target, (...connected) => {
      const [error, socket] = connected;
      // Where it has failed there is no second argument, whatever its type says.
      if (error === null && socket !== null) limitAnswers(socket);
      callback(...connected);
    });
  };
}

/** Made once: reading some hundred certificates takes milliseconds. */
function trusting(authorities: readonly string[]) {
  return createSecureContext({ ca: [...getCACertificates('default'), ...authorities] });
}

type Lookup = (
  hostname: string,
  options: LookupOptions,
  callback: (error: Error | null, addresses: LookupAddress[] | string, family?: number) => void,
) => void;

/** A look-up that gives no address to dial unless all of a name's may be. */
function vetted(resolve: Resolve, mayDial: (address: string) => boolean): Lookup {
  const find = async (hostname: string): Promise<LookupAddress[]> => {
    const addresses = await resolve(hostname);
    const isAllowed = addresses.length > 0 && addresses.every(({ address }) => mayDial(address));
    if (!isAllowed) throw new AddressNotAllowed();
    return addresses.slice(0, addressesMax);
  };
  return (hostname, { all }, callback) => {
    find(hostname).then(
      (addresses) => {
        const [first] = addresses as [LookupAddress];
        if (all) callback(null, addresses);
        else callback(null, first.address, first.family);
      },
      (error: Error) => callback(error, []),
    );
  };
}
