import { isIP } from 'node:net';
import type { AddressPolicy } from './address-policy.ts';
import { isLocalhost } from './resolve.ts';

/**
 * Why a URL cannot be an endpoint's, as far as it tells by itself; a sentence that begins with "must". Where its name
 * leads to is judged at each connection.
 *
 * @param opensAny whether the operator has opened any address, which a name may lead to.
 */
export function findUrlFault(
  text: string,
  policy: AddressPolicy,
  opensAny: boolean,
): string | undefined {
  if (!URL.canParse(text)) return 'must be a URL, such as https://example.com/hooks';
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must begin with https://';
  if (url.username !== '' || url.password !== '') {
    return 'must not hold a user name or password: use headers';
  }
  if (!isPortAllowed(url)) return 'must have the port 443, 80 with http, or 1024 and higher';
  const address = addressOf(url);
  if (address !== undefined && !policy.mayDial(address)) {
    return 'must lead to a public address';
  }
  if (url.protocol === 'https:') return undefined;
  const isOpened = address === undefined ? opensAny : policy.isOpened(address);
  return isOpened ? undefined : 'must begin with https://';
}

function isPortAllowed({ protocol, port }: URL): boolean {
  if (port === '') return true;
  return Number(port) >= 1024 || (protocol === 'http:' && port === '443');
}

/** The address that a URL has in place of a name, or that its name has everywhere. */
function addressOf({ hostname }: URL): string | undefined {
  if (isLocalhost(hostname)) return '127.0.0.1';
  const plain = hostname.replace(/^\[|\]$/g, '');
  return isIP(plain) === 0 ? undefined : plain;
}
