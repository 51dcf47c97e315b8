import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve as resolvePath } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type AddressPolicy,
  createAddressPolicy,
} from '../../src/webhooks/egress/address-policy.ts';
import { createDial } from '../../src/webhooks/egress/dial.ts';
import { createHttpClient, type HttpClient } from '../../src/webhooks/egress/http-client.ts';
import { createResolve, readHosts } from '../../src/webhooks/egress/resolve.ts';
import { type Canary, startCanary } from '../support/canary.ts';
import { type DnsAnswer, type DnsServer, startDnsServer } from '../support/dns-server.ts';
import { type ScriptedSocket, startScriptedSocket } from '../support/scripted-socket.ts';

/** Stands for what is public: a second address of loopback, which the operator has opened. */
const allowed = '127.0.0.2';
const policy = createAddressPolicy({ allowCidrs: [`${allowed}/32`], denyCidrs: [] });
const open: AddressPolicy = { mayDial: () => true, isOpened: () => true };
const refused = { kind: 'unanswered', error: 'address not allowed' };
const answered = expect.objectContaining({ kind: 'answered', status: 204 });

let dns: DnsServer;
let canary: Canary;
let receiver: ScriptedSocket;
let client: HttpClient;

function clientOf(judge: AddressPolicy): HttpClient {
  const resolve = createResolve({ hosts: new Map(), servers: [dns.address] });
  return createHttpClient(
    createDial({ policy: judge, resolve, connectTimeoutMs: 1_000, authorities: [] }),
  );
}

const post = (port: number, { by = client, protocol = 'http', timeoutMs = 2_000 } = {}) =>
  by.post({
    url: `${protocol}://hooks.test:${port}/in`,
    headers: {},
    body: Buffer.from('{}'),
    timeoutMs,
  });

beforeEach(async () => {
  [dns, canary] = await Promise.all([startDnsServer(), startCanary()]);
  // Each request has a connection of its own.
  receiver = await startScriptedSocket(
    (socket) => socket.end('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n'),
    allowed,
  );
  client = clientOf(policy);
});
afterEach(async () => {
  await client.close();
  await Promise.all([dns.close(), canary.close(), receiver.close()]);
});

test.each<[string, DnsAnswer]>([
  ['loopback', ['127.0.0.1']],
  ['loopback of IPv6', ['::1']],
  ['an IPv4-mapped address', ['::ffff:7f00:1']],
  ['the unspecified address', ['0.0.0.0']],
  ['the metadata service', ['169.254.169.254']],
  ['a private address', ['10.0.0.1']],
  ['a private address by NAT64', ['64:ff9b::a00:1']],
  ['a link-local address', ['fe80::1']],
  ['an allowed address and a forbidden one', [allowed, '127.0.0.1']],
  ['a forbidden address and an allowed one', ['127.0.0.1', allowed]],
  ['an allowed address of IPv4 and a forbidden one of IPv6', [allowed, '::1']],
  ['a name that leads to loopback', { alias: 'inner.test' }],
])('a name of %s is refused, and nobody is connected to', async (_, answer) => {
  dns.set('hooks.test', answer);
  dns.set('inner.test', ['127.0.0.1']);
  for (const protocol of ['http', 'https']) {
    expect(await post(canary.port, { protocol })).toEqual(refused);
  }
  expect(canary.connections).toBe(0);
  expect(receiver.sockets).toHaveLength(0);
});

test('with the check off, a name leads to loopback', async () => {
  dns.set('hooks.test', ['127.0.0.1']);
  const unchecked = clientOf(open);
  await post(canary.port, { by: unchecked });
  await unchecked.close();
  expect(canary.connections).toBe(1);
});

test('a name that leads elsewhere from its second answer on is judged again, and only its vetted address dialled', async () => {
  dns.set('hooks.test', [allowed], ['127.0.0.1']);
  // The first connection asks for both families at once, and is given one answer of each.
  expect(await post(receiver.port)).toEqual(answered);
  expect(dns.asked).toHaveLength(2);
  expect(await post(receiver.port)).toEqual(refused);
  expect(await post(canary.port)).toEqual(refused);
  expect(canary.connections).toBe(0);
});

test('an answer is not kept: a name that has moved is found where it is', async () => {
  dns.set('hooks.test', ['127.0.0.1'], [allowed]);
  expect(await post(receiver.port)).toEqual(refused);
  expect(await post(receiver.port)).toEqual(answered);
});

test('of a name with many addresses no more than six are tried', async () => {
  const many = Array.from({ length: 40 }, (_, index) => `127.0.1.${index + 1}`);
  const judged: string[] = [];
  const all = createAddressPolicy({ allowCidrs: ['127.0.0.0/8'], denyCidrs: [] });
  const dialled: string[] = [];
  dns.set('hooks.test', many);
  const connect = createDial({
    policy: { ...all, isOpened: (address) => judged.push(address) > 0 && all.isOpened(address) },
    resolve: createResolve({ hosts: new Map(), servers: [dns.address] }),
    connectTimeoutMs: 5_000,
    authorities: [],
  });
  const watched: typeof connect = (options, callback) => {
    const socket = connect(options, callback) as unknown as Socket;
    socket.on('connectionAttempt', (address: string) => dialled.push(address));
    return socket as never;
  };
  const by = createHttpClient(watched);
  expect(await post(1, { by })).toEqual({ kind: 'unanswered', error: 'connection refused' });
  await by.close();
  expect(judged).toHaveLength(40);
  expect(dialled).toEqual(many.slice(0, 6));
});

test.each(['redirect to loopback', 'redirect to the metadata service'])(
  'a %s is an answer, and not followed',
  async (kind) => {
    const to = kind.endsWith('loopback') ? `127.0.0.1:${canary.port}` : '169.254.169.254';
    const server = await startScriptedSocket((socket) => {
      socket.end(
        `HTTP/1.1 307 Temporary Redirect\r\nlocation: http://${to}/\r\ncontent-length: 0\r\n\r\n`,
      );
    }, allowed);
    dns.set('hooks.test', [allowed]);
    expect(await post(server.port)).toMatchObject({ kind: 'answered', status: 307 });
    await server.close();
    expect(server.sockets).toHaveLength(1);
    expect(canary.connections).toBe(0);
  },
);

test('a name that nobody has, and one whose server fails or is silent, end in time and say so', async () => {
  expect(await post(1)).toEqual({ kind: 'unanswered', error: 'name not found' });
  dns.set('hooks.test', []);
  expect(await post(1)).toEqual({ kind: 'unanswered', error: 'name not found' });
  dns.set('hooks.test', 'silence');
  expect(await post(1, { timeoutMs: 200 })).toEqual({ kind: 'unanswered', error: 'timeout' });
});

test('names whose servers are silent hold up no other', async () => {
  dns.set('hooks.test', 'silence');
  const silent = Array.from({ length: 50 }, () => post(1, { timeoutMs: 3_000 }));
  dns.set('other.test', [allowed]);
  const url = `http://other.test:${receiver.port}/in`;
  const answer = await client.post({ url, headers: {}, body: Buffer.from('{}'), timeoutMs: 2_500 });
  expect(answer).toEqual(answered);
  const failures = await Promise.all(silent);
  expect(failures.every(({ kind }) => kind === 'unanswered')).toBe(true);
});

test('names of the hosts file are known without DNS, and judged like any other', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'harbor-hosts-'));
  const path = join(folder, 'hosts');
  await writeFile(
    path,
    `# ours\n${allowed} Hooks.test  alias.test # one\n::1 inner.test\nno address\n`,
  );
  const hosts = readHosts(path);
  await rm(folder, { recursive: true });
  expect([...hosts.keys()]).toEqual(['hooks.test', 'alias.test', 'inner.test']);
  const resolve = createResolve({ hosts, servers: [dns.address] });
  const by = createHttpClient(
    createDial({ policy, resolve, connectTimeoutMs: 1_000, authorities: [] }),
  );
  expect(await post(receiver.port, { by })).toEqual(answered);
  const url = `http://inner.test.:${canary.port}/`;
  expect(await by.post({ url, headers: {}, body: Buffer.alloc(0), timeoutMs: 1_000 })).toEqual(
    refused,
  );
  await by.close();
  expect(dns.asked).toEqual([]);
  expect(readHosts(join(folder, 'none'))).toEqual(new Map());
});

test.each([
  ['webhooks are', 'post', 0],
  ['of a program that asks them, everything is', 'fetch', 1],
])('proxies of the environment: %s sent by them as often as they should', async (_, way, least) => {
  const egress = resolvePath(import.meta.dirname, '../../src/webhooks/egress');
  const program = `
    const { createAddressPolicy } = await import('${egress}/address-policy.ts');
    const { createDial } = await import('${egress}/dial.ts');
    const { createHttpClient } = await import('${egress}/http-client.ts');
    const policy = createAddressPolicy({ allowCidrs: ['${allowed}/32'], denyCidrs: [] });
    const resolve = async () => [{ address: '${allowed}', family: 4 }];
    const client = createHttpClient(createDial({ policy, resolve, connectTimeoutMs: 1000, authorities: [] }));
    const url = 'http://hooks.test:${receiver.port}/';
    const post = () => client.post({ url, headers: {}, body: Buffer.from('{}'), timeoutMs: 2000 });
    const answer = await (${way === 'post'} ? post() : fetch(url).catch(() => undefined));
    console.log(answer?.status);
    await client.close();`;
  const proxy = `http://127.0.0.1:${canary.port}`;
  const env = { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: proxy, HTTPS_PROXY: proxy, ALL_PROXY: proxy };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { env },
  );
  expect(stdout).toBe(way === 'post' ? '204\n' : 'undefined\n');
  expect(Math.min(canary.connections, 1)).toBe(least);
});
