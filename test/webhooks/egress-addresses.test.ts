import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type AddressPolicy,
  createAddressPolicy,
} from '../../src/webhooks/egress/address-policy.ts';
import { createDial } from '../../src/webhooks/egress/dial.ts';
import { createHttpClient, type HttpClient } from '../../src/webhooks/egress/http-client.ts';
import { createResolve } from '../../src/webhooks/egress/resolve.ts';
import { findUrlFault } from '../../src/webhooks/egress/webhook-url.ts';
import { type Canary, startCanary } from '../support/canary.ts';

/** Hosts of URLs that lead to the machine itself. */
const ownSpellings = [
  '127.0.0.1',
  '127.0.0.1.',
  '127.1',
  '127.0.1',
  '127.000.000.001',
  '127.255.255.254',
  '2130706433',
  '0x7f000001',
  '0X7F.0.0.1',
  '0x7f.1',
  '0177.0.0.1',
  '0177.0.0.01',
  '017700000001',
  '%31%32%37.0.0.1',
  '①②⑦.⓪.⓪.①',
  '１２７.０.０.１',
  '127。0。0。1',
  '0.0.0.0',
  '0',
  '0x0',
  'localhost',
  'LOCALHOST',
  'localhost.',
  'hooks.localhost',
  'ⓛⓞⓒⓐⓛⓗⓞⓢⓣ',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::0001]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[0:0:0:0:0:ffff:127.0.0.1]',
];

/** Hosts of URLs that are not the public's. */
const otherSpellings = [
  // Of IPv4 inside of IPv6: compatible, translated, NAT64, 6to4, Teredo.
  '[::127.0.0.1]',
  '[::7f00:1]',
  '[::ffff:0:127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b::a00:1]',
  '[64:ff9b::a9fe:a9fe]',
  '[64:ff9b:1::127.0.0.1]',
  '[64:ff9b:1:7f00:0:100::]',
  '[64:ff9b:1::8.8.8.8]',
  '[64:ff9b:1:7f00:0:100:808:808]',
  '[2002:7f00:1::]',
  '[2002:7f00:1::1]',
  '[2002:a00:1::8.8.8.8]',
  '[2002:c0a8:101::1]',
  '[2001:0:7f00:1::]',
  '[2001:0:808:808:0:0:80ff:fffe]',
  // Private.
  '10.0.0.1',
  '10.1',
  '167772161',
  '0xa000001',
  '012.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '192.168.1',
  '3232235521',
  '[::ffff:10.0.0.1]',
  '[::ffff:c0a8:1]',
  '[fc00::1]',
  '[fd12:3456:789a::1]',
  '[fec0::1]',
  // Link local, and what tells machines in clouds their secrets.
  '169.254.0.1',
  '169.254.169.254',
  '169.254.43518',
  '2852039166',
  '0xa9fea9fe',
  '0251.0376.0251.0376',
  '①⑥⑨.②⑤④.①⑥⑨.②⑤④',
  '[::ffff:169.254.169.254]',
  '[::ffff:a9fe:a9fe]',
  '[fe80::1]',
  '[febf::1]',
  '[fd00:ec2::254]',
  '[fd20:ce::254]',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  // Shared by carriers.
  '100.64.0.1',
  '100.127.255.255',
  // Documentation, benchmarks, relays, tests.
  '192.0.0.1',
  '192.0.2.1',
  '198.51.100.1',
  '203.0.113.1',
  '198.18.0.1',
  '198.19.255.255',
  '192.88.99.1',
  '[2001:db8::1]',
  '[3fff::1]',
  '[100::1]',
  '[2001:2::1]',
  '[2001:10::1]',
  '[2001:20::1]',
  // Multicast, broadcast, reserved.
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '0.1.2.3',
  '[ff02::1]',
  '[ff0e::1]',
  '[5f00::1]',
  '[4000::1]',
  '[::2]',
  '[1::]',
];

let canary: Canary;
let client: HttpClient;
const policy = createAddressPolicy({ allowCidrs: [], denyCidrs: [] });

function clientOf(judge: AddressPolicy): HttpClient {
  const resolve = createResolve({ hosts: new Map(), servers: ['127.0.0.1:9'] });
  return createHttpClient(
    createDial({ policy: judge, resolve, connectTimeoutMs: 1_000, authorities: [] }),
  );
}

const post = (by: HttpClient, url: string) =>
  by.post({ url, headers: {}, body: Buffer.from('{}'), timeoutMs: 2_000 });

beforeAll(async () => {
  canary = await startCanary();
  client = clientOf(policy);
});
afterAll(async () => {
  await client.close();
  await canary.close();
});

test.each([...ownSpellings, ...otherSpellings])(
  'nothing is sent to %s, by https or http, and no endpoint may have it',
  async (host) => {
    const before = canary.connections;
    for (const protocol of ['https', 'http']) {
      const url = `${protocol}://${host}:${canary.port}/hooks`;
      expect(findUrlFault(url, policy, true)).toBe('must lead to a public address');
      expect(await post(client, url)).toEqual({ kind: 'unanswered', error: 'address not allowed' });
    }
    expect(canary.connections).toBe(before);
  },
);

test.each(ownSpellings)('with the check off, %s leads to the machine itself', async (host) => {
  const open = clientOf({ mayDial: () => true, isOpened: () => true });
  const before = canary.connections;
  await post(open, `http://${host}:${canary.port}/hooks`);
  await open.close();
  expect(canary.connections).toBe(before + 1);
});

test.each(['fe80::1%eth0', '::1%lo', '8.8.8.8 ', 'example.com', '', '%'])(
  '"%s" is no address to dial',
  (text) => {
    expect(policy.mayDial(text)).toBe(false);
    expect(policy.isOpened(text)).toBe(false);
  },
);

test.each(['8.8.8.8', '2606:4700::1111', '::ffff:8.8.8.8', '64:ff9b::808:808', '2002:808:808::1'])(
  '%s is public: it may be dialled, with TLS',
  (address) => {
    expect(policy.mayDial(address)).toBe(true);
    expect(policy.isOpened(address)).toBe(false);
  },
);

test('the operator opens ranges and closes others, in whichever form an address comes', () => {
  const own = createAddressPolicy({
    allowCidrs: ['10.0.0.0/8', '::ffff:192.168.0.0/112', 'fd00::/8'],
    denyCidrs: ['10.9.0.0/16', '8.8.8.0/24', '2606:4700::/32', '2002::/16'],
  });
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '192.168.0.9', 'fd00::1']) {
    expect([address, own.isOpened(address), own.mayDial(address)]).toEqual([address, true, true]);
  }
  const closed = ['10.9.0.1', '::ffff:10.9.0.1', '8.8.8.8', '::ffff:8.8.8.8', '64:ff9b::808:808'];
  for (const address of [...closed, '2606:4700::1111', '2002:101:101::1', '127.0.0.1']) {
    expect([address, own.isOpened(address), own.mayDial(address)]).toEqual([address, false, false]);
  }
});

test.each(['10.0.0.0', '10.0.0.0/33', 'example.com/8', ''])(
  '"%s" is refused as a range',
  (cidr) => {
    expect(() => createAddressPolicy({ allowCidrs: [cidr], denyCidrs: [] })).toThrow(cidr);
  },
);

test.each([
  ['https://example.com/hooks', undefined],
  ['https://example.com:443/hooks', undefined],
  ['https://example.com:1024/hooks?tenant=1', undefined],
  ['https://[2606:4700::1111]/hooks', undefined],
  ['hooks', 'must be a URL, such as https://example.com/hooks'],
  ['https://[fe80::1%25eth0]/hooks', 'must be a URL, such as https://example.com/hooks'],
  ['https://127.0.0.256/hooks', 'must be a URL, such as https://example.com/hooks'],
  ['ftp://example.com/hooks', 'must begin with https://'],
  ['http://example.com/hooks', 'must begin with https://'],
  ['http://8.8.8.8/hooks', 'must begin with https://'],
  ['https://user@example.com/hooks', 'must not hold a user name or password: use headers'],
  ['https://:word@example.com/hooks', 'must not hold a user name or password: use headers'],
  ['https://example.com:22/hooks', 'must have the port 443, 80 with http, or 1024 and higher'],
  ['https://example.com:80/hooks', 'must have the port 443, 80 with http, or 1024 and higher'],
  ['https://example.com:0/hooks', 'must have the port 443, 80 with http, or 1024 and higher'],
])('of %s as an endpoint is said: %s', (url, fault) => {
  expect(findUrlFault(url, policy, false)).toBe(fault);
});

test('without TLS an endpoint may only be where the operator has opened addresses', () => {
  const opened = createAddressPolicy({ allowCidrs: ['127.0.0.0/8'], denyCidrs: [] });
  const faults = ['http://127.0.0.1/', 'http://localhost:3000/', 'http://hooks.internal/'].map(
    (url) => findUrlFault(url, opened, true),
  );
  expect(faults).toEqual([undefined, undefined, undefined]);
  expect(findUrlFault('http://8.8.8.8/', opened, true)).toBe('must begin with https://');
});
