import { expect, test } from 'vitest';
import type { Feature } from '../src/feature.ts';
import { joinFeatures } from '../src/joined-features.ts';

/** A feature that writes down what happens to it, and takes its time. */
function createTold(name: string, told: string[], rest: Partial<Feature> = {}): Feature {
  const tell = async (what: string) => {
    await new Promise((resolve) => setImmediate(resolve));
    told.push(`${name} ${what}`);
  };
  return {
    rpcs: [],
    loops: [{ name: `${name} loop`, intervalMs: 1, round: () => tell('round') }],
    endStreams: () => void told.push(`${name} ends its streams`),
    drained: () => tell('is drained'),
    close: () => tell('closes'),
    ...rest,
  };
}

test('no feature closes before every loop has ended, and all have closed at the end', async () => {
  const told: string[] = [];
  const features = [createTold('one', told), createTold('other', told)];
  const joined = joinFeatures(features, () => () => undefined);
  joined.startLoops();
  await expect.poll(() => told).toEqual(expect.arrayContaining(['one round', 'other round']));
  await joined.close();
  expect(told.slice(-2).toSorted()).toEqual(['one closes', 'other closes']);
});

test('a stop ends the streams of every feature, and waits for what each has accepted', async () => {
  const told: string[] = [];
  const features = [createTold('one', told), createTold('other', told)];
  const joined = joinFeatures(features, () => () => undefined);
  joined.endStreams();
  expect(told).toEqual(['one ends its streams', 'other ends its streams']);
  await joined.drained();
  expect(told.slice(2)).toEqual(['one is drained', 'other is drained']);
});

test('a feature that fails is told of by the name of its work, and harms no other', async () => {
  const told: string[] = [];
  const fail = () => Promise.reject(new Error('broken'));
  const broken = createTold('broken', told, {
    loops: [{ name: 'broken loop', intervalMs: 60_000, round: fail }],
    close: fail,
  });
  const joined = joinFeatures([broken, createTold('other', told)], (work) => (error) => {
    told.push(`${work}: ${(error as Error).message}`);
  });
  joined.startLoops();
  await expect
    .poll(() => told)
    .toEqual(expect.arrayContaining(['broken loop: broken', 'other round']));
  await joined.close();
  expect(told.slice(-2).toSorted()).toEqual(['other closes', 'stop: broken']);
});
