import ipaddr from 'ipaddr.js';
import { type Address, type AddressRange, isWithin, readAddress, toRange } from './address.ts';

/** Which addresses the service may connect to for those who name a URL. */
export interface AddressPolicy {
  /** Whether an address may be dialled; anything but an IP address may not. */
  mayDial(address: string): boolean;
  /** Whether the operator has opened the address: then also without TLS. */
  isOpened(address: string): boolean;
}

export interface AddressPolicyOptions {
  /** Ranges that the operator opens, as CIDR: `127.0.0.0/8`. */
  readonly allowCidrs: readonly string[];
  /** Ranges that the operator closes, of public addresses too; they count more than those that are opened. */
  readonly denyCidrs: readonly string[];
}

/** All that is handed out to the public; the rest of IPv6 is reserved. */
const globalUnicast = toRange('2000::/3');

/**
 * Public by their number, but led elsewhere by whoever runs the network: Azure's own services for its machines, which
 * give out their secrets.
 */
const ledElsewhere = [toRange('168.63.129.16/32')];

/**
 * By default every public address, and none that is not, however it is written: an address of IPv4 inside of one of IPv6
 * is judged as both.
 *
 * @throws an Error that quotes what is no CIDR.
 */
export function createAddressPolicy(options: AddressPolicyOptions): AddressPolicy {
  const allowed = options.allowCidrs.map(toRange);
  const denied = options.denyCidrs.map(toRange);

  function judge(address: string): 'opened' | 'public' | 'forbidden' {
    const forms = readAddress(address);
    const isIn = (ranges: readonly AddressRange[]) => forms.some((form) => isWithin(form, ranges));
    if (forms.length === 0 || isIn(denied)) return 'forbidden';
    if (isIn(allowed)) return 'opened';
    return forms.every(isPublic) ? 'public' : 'forbidden';
  }

  return {
    mayDial: (address) => judge(address) !== 'forbidden',
    isOpened: (address) => judge(address) === 'opened',
  };
}

/** Forms of IPv6 that only carry an address of IPv4, which stands beside them and decides. */
const carriers = new Set(['ipv4Mapped', 'rfc6145', 'rfc6052', '6to4']);

function isPublic(form: Address): boolean {
  const range = form.range();
  if (form instanceof ipaddr.IPv4) return range === 'unicast' && !isWithin(form, ledElsewhere);
  return carriers.has(range) || (range === 'unicast' && isWithin(form, [globalUnicast]));
}
