import { expect, test } from 'vitest';
import { createStreamEncoder } from '../../src/events/index.ts';

const at = (sequence: number) => ({
  kind: 'event' as const,
  sequence,
  event: {
    id: 'evt_01hzy9q7x8f4kq3d2m5n6p7r8s',
    workspaceId: 'ws_encoded',
    type: 'written.once',
    payload: {},
    payloadJson: '{}',
    createdAt: new Date(0),
    sequence,
  },
  memory: { hang: () => undefined },
});

test('an event is written once, however many subscribers it is sent to', () => {
  const written: bigint[] = [];
  const encode = createStreamEncoder(({ sequence = 0n }) => {
    written.push(sequence);
    return Buffer.from(`${sequence}`);
  });
  const [first, second] = [at(1), at(2)];
  const bytes = [first, second, { ...first }, first, second].map((message) => encode(message));
  expect(bytes.map((one) => Buffer.from(one).toString())).toEqual(['1', '2', '1', '1', '2']);
  expect(written).toEqual([1n, 2n]);
});

test('what is said to one subscriber is not said to another', () => {
  const encode = createStreamEncoder(({ message, sequence }) =>
    Buffer.from(`${message?.case} ${sequence}`),
  );
  const said = [
    encode({ kind: 'caught_up', sequence: 7, firstSequence: 1 }),
    encode({ kind: 'heartbeat', sequence: 7 }),
    encode({ kind: 'heartbeat', sequence: 9 }),
  ];
  expect(said.map((one) => Buffer.from(one).toString())).toEqual([
    'caughtUp 7',
    'heartbeat 7',
    'heartbeat 9',
  ]);
});
