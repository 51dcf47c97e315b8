import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type ClientHttp2Stream, connect, constants } from 'node:http2';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFront, type Front } from '../src/server/wire/front.ts';
import {
  endStream,
  frame,
  framesOf,
  frameTypes,
  grpcFields,
  headersFrame,
  opening,
} from './support/http2-frames.ts';
import { openRawSocket, type RawSocket } from './support/raw-socket.ts';
import { startTestService } from './support/test-service.ts';

const times = { idleMs: 500, beginMs: 500 };
const read = (name: string) => readFileSync(join(import.meta.dirname, 'support/tls', name), 'utf8');
const tls = { cert: read('cert.pem'), key: read('key.pem') };
const settingsTaken = frame(frameTypes.settings, 1, 0);
const ask = headersFrame(1, grpcFields('/stream'), endStream);
const ping = frame(6, 0, 0, Buffer.from('are you?'));

describe('a connection of HTTP/2', () => {
  let front: Front;
  let address: { host: string; port: number };
  beforeEach(async () => {
    front = createFront(undefined, times);
    // A stream that has nothing to say for now.
    front.http2.on('stream', (stream) => {
      stream.on('error', () => undefined).resume();
      stream.respond({ ':status': 200 });
    });
    address = await front.listen('127.0.0.1', 0);
  });
  afterEach(async () => {
    front.destroy();
    await front.close();
  });

  async function open(...bytes: Buffer[]): Promise<RawSocket> {
    const socket = await openRawSocket(address);
    socket.write(Buffer.concat([opening, ...bytes]));
    return socket;
  }

  test('without a call ends, however many pings its peer sends', async () => {
    const socket = await open(settingsTaken);
    const pings = setInterval(() => socket.write(ping), 50);
    await socket.ended();
    clearInterval(pings);
    expect(framesOf(socket).some(({ type }) => type === frameTypes.goAway)).toBe(true);
  });

  test('takes headers of 16 KiB, as one of HTTP/1.1 does; of more the call is reset, and the others go on', async () => {
    const client = connect(`http://${address.host}:${address.port}`);
    await once(client, 'remoteSettings');
    // Ours hold once their acknowledgement has come back.
    await new Promise((resolve) => client.ping(resolve));
    const [usual, large] = [15, 17].map((kib) =>
      client.request(
        { ':method': 'POST', 'x-large': 'x'.repeat(kib * 1024) },
        { endStream: false },
      ),
    );
    await once(large as ClientHttp2Stream, 'error');
    expect(large?.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(usual?.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
    client.destroy();
  });

  test('ends when its peer never takes the settings', async () => {
    const socket = await open(ask);
    const pings = setInterval(() => socket.write(ping), 50);
    await socket.ended();
    clearInterval(pings);
  });

  test('with a stream goes on while its peer answers pings, and ends when it does not', async () => {
    const session = connect(`http://${address.host}:${address.port}`);
    let pinged = 0;
    session.on('ping', () => pinged++);
    const call = session.request({ ':path': '/stream' });
    await once(call, 'response');
    const silent = await open(settingsTaken, ask);
    await silent.ended();
    // By now the client has been silent for longer.
    await expect.poll(() => pinged, { timeout: 5_000 }).toBeGreaterThan(4);
    expect(session.destroyed).toBe(false);
    expect(call.closed).toBe(false);
    session.destroy();
  });
});

test('once the front closes an idle connection of HTTP/2 is pinged, and a call on it told before its answer that it is the last', async () => {
  const front = createFront(undefined);
  front.http2.on('stream', (stream) => stream.respond({ ':status': 200 }, { endStream: true }));
  const address = await front.listen('127.0.0.1', 0);
  const session = connect(`http://${address.host}:${address.port}`);
  const order: string[] = [];
  const call = () => session.request({ ':path': '/' }).on('response', () => order.push('answer'));
  await once(call().resume(), 'close');
  session.on('goaway', () => order.push('goaway'));
  const pinged = once(session, 'ping');
  const closed = front.close();
  await pinged;
  await once(call().resume(), 'close');
  expect(order).toEqual(['answer', 'goaway', 'answer']);
  await closed;
});

describe('over TLS, a connection that never finishes its handshake', () => {
  test('ends in time', async () => {
    const front = createFront(tls, times);
    const socket = await openRawSocket(await front.listen('127.0.0.1', 0));
    await socket.ended();
    await front.close();
  });

  test('holds no stop', async () => {
    const service = await startTestService({ tls });
    const sockets = await Promise.all([openRawSocket(service), openRawSocket(service)]);
    // Half a hello.
    sockets[1]?.write(Buffer.from('16030100c8010000c40303', 'hex'));
    await service.stop();
    await Promise.all(sockets.map((socket) => socket.ended()));
  }, 9_000);
});
