import ipaddr from 'ipaddr.js';

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

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = [Address, number];

/** Public by their number, but led elsewhere by whoever runs the network: NAT64 of its own, and 6to4's relays. */
const ledElsewhere = ['64:ff9b:1::/48', '192.88.99.0/24', '100::/64'].map((cidr) => toRange(cidr));

/** By default every public address, and none that is not, however it is written. */
export function createAddressPolicy({
  allowCidrs,
  denyCidrs,
}: AddressPolicyOptions): AddressPolicy {
  const allowed = allowCidrs.map(toRange);
  const denied = [...denyCidrs.map(toRange), ...ledElsewhere];

  function isOpened(address: string): boolean {
    const found = read(address);
    return found !== undefined && isWithin(found, allowed) && !isWithin(found, denied);
  }

  return {
    isOpened,
    mayDial(address) {
      const found = read(address);
      if (found === undefined || isWithin(found, denied)) return false;
      return isWithin(found, allowed) || found.range() === 'unicast';
    },
  };
}

/** A range as it is configured. @throws an Error for what is none. */
export function toRange(cidr: string): Range {
  return ipaddr.parseCIDR(cidr) as Range;
}

/** An address without its zone; one of IPv4 inside of IPv6 is what it leads to. */
function read(address: string): Address | undefined {
  const [plain = ''] = address.split('%');
  if (!ipaddr.isValid(plain)) return undefined;
  const found = ipaddr.parse(plain);
  return found instanceof ipaddr.IPv6 ? innermost(found) : found;
}

function innermost(address: ipaddr.IPv6): Address {
  const bytes = address.toByteArray();
  switch (address.range()) {
    case 'ipv4Mapped':
    case 'rfc6145':
    case 'rfc6052':
      return new ipaddr.IPv4(bytes.slice(12));
    case '6to4':
      return new ipaddr.IPv4(bytes.slice(2, 6));
    default:
      // Written as ::a.b.c.d, which was given up but is still understood here and there.
      return bytes.slice(0, 12).every((byte) => byte === 0) && !isLoopbackOrNone(bytes)
        ? new ipaddr.IPv4(bytes.slice(12))
        : address;
  }
}

function isLoopbackOrNone(bytes: readonly number[]): boolean {
  return bytes.slice(12, 15).every((byte) => byte === 0) && (bytes[15] ?? 0) <= 1;
}

function isWithin(address: Address, ranges: readonly Range[]): boolean {
  return ranges.some(
    ([base, bits]) => base.kind() === address.kind() && address.match(base as never, bits),
  );
}
