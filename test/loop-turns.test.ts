import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { createLoopTurns } from '../src/loop-turns.ts';

/** Resolves when every piece of every lane is done, with the lanes in the order of their pieces. */
function runAll(lanes: Record<string, number>): Promise<string[]> {
  const turns = createLoopTurns(0);
  const done: string[] = [];
  const total = Object.values(lanes).reduce((sum, pieces) => sum + pieces, 0);
  return new Promise((resolve) => {
    for (const [lane, pieces] of Object.entries(lanes)) {
      for (let n = 0; n < pieces; n++) {
        turns.run(lane, () => {
          done.push(lane);
          if (done.length === total) resolve(done);
        });
      }
    }
  });
}

test('one piece of another waits for one of a thousand, and not for all of them', async () => {
  const done = await runAll({ crowd: 1_000, alone: 1 });
  expect(done).toHaveLength(1_001);
  expect(done.indexOf('alone')).toBe(1);
});

test('lanes take turns', async () => {
  expect(await runAll({ a: 3, b: 2, c: 1 })).toEqual(['a', 'b', 'c', 'a', 'b', 'a']);
});

test('while a thousand pieces wait, what the network brings is taken in between', async () => {
  const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const socket: Socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');

  const turns = createLoopTurns(0);
  let done = 0;
  const all = new Promise<void>((resolve) => {
    for (let n = 0; n < 10_000; n++) {
      turns.run('crowd', () => {
        if (++done === 10_000) resolve();
      });
    }
  });
  socket.write('hello');
  const [data] = (await once(socket, 'data')) as [Buffer];
  const doneWhenHeard = done;
  await all;
  expect(data.toString()).toBe('hello');
  expect(doneWhenHeard).toBeLessThan(10_000);
  socket.destroy();
  server.close();
});

test('what a piece sets off is done before the next one begins', async () => {
  const turns = createLoopTurns(60_000);
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    for (const name of ['first', 'second']) {
      turns.run('lane', () => {
        void (async () => {
          for (let step = 0; step < 20; step++) await undefined;
          order.push(name);
          if (name === 'second') resolve();
        })();
        order.push(`begin ${name}`);
      });
    }
  });
  expect(order).toEqual(['begin first', 'first', 'begin second', 'second']);
});

test('whoever comes while nobody waits begins at once, and behind others in their order', async () => {
  const turns = createLoopTurns(60_000);
  expect(turns.take('one')).toBeUndefined();
  const order: string[] = [];
  turns.run('other', () => order.push('other'));
  await turns.take('one');
  order.push('one');
  expect(order).toEqual(['other', 'one']);
});
