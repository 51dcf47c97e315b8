import ipaddr from 'ipaddr.js';

export type Address = ipaddr.IPv4 | ipaddr.IPv6;
/** An address and how many of its first bits make the range. */
export type AddressRange = readonly [base: Address, bits: number];

const mappedBits = 96;

/** A range as it is configured; one of IPv4-mapped addresses is the one of IPv4. @throws an Error for what is none. */
export function toRange(cidr: string): AddressRange {
  if (!ipaddr.isValidCIDR(cidr)) throw new Error(`${cidr} is no CIDR, such as 10.0.0.0/8`);
  const [base, bits] = ipaddr.parseCIDR(cidr);
  if (base instanceof ipaddr.IPv6 && base.isIPv4MappedAddress() && bits >= mappedBits) {
    return [base.toIPv4Address(), bits - mappedBits];
  }
  return [base, bits];
}

export function isWithin(address: Address, ranges: readonly AddressRange[]): boolean {
  return ranges.some(
    ([base, bits]) => base.kind() === address.kind() && address.match(base as never, bits),
  );
}

/**
 * What an address is: itself, without its zone, and the one of IPv4 that it leads to where it carries one. None where the
 * text is no address.
 */
export function readAddress(text: string): readonly Address[] {
  const [plain = ''] = text.split('%');
  if (!ipaddr.isValid(plain)) return [];
  const address = ipaddr.parse(plain);
  if (address instanceof ipaddr.IPv4) return [address];
  const carried = findCarried(address);
  return carried === undefined ? [address] : [address, new ipaddr.IPv4(carried)];
}

/**
 * The prefix for translation that a network chooses itself (64:ff9b:1::/48): where in it the address of IPv4 stands is
 * known to that network alone.
 */
const localTranslation = toRange('64:ff9b:1::/48');
/** Stands for an address that nobody here knows, and is as forbidden. */
const unspecified = [0, 0, 0, 0];

function findCarried(address: ipaddr.IPv6): number[] | undefined {
  const bytes = address.toByteArray();
  switch (address.range()) {
    case 'ipv4Mapped':
    case 'rfc6145':
      return bytes.slice(12);
    case 'rfc6052':
      return isWithin(address, [localTranslation]) ? unspecified : bytes.slice(12);
    case '6to4':
      return bytes.slice(2, 6);
    default:
      return undefined;
  }
}
