import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { usualSchedule } from '../../src/webhooks/delivery/schedule.ts';
import { readSections } from '../clients/page.ts';
import {
  checkTypes,
  expectedRun,
  installReceiver,
  otherReceivers,
  receiversAtHand,
  runReceiver,
} from '../clients/receivers.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/webhook-delivery.md'), 'utf8');

test('every program of the page is run, here or by the clients', () => {
  const paths = [...readSections(page).values()].flat().flatMap(({ path }) => path ?? []);
  const run = [...receiversAtHand, ...otherReceivers].map(({ file }) => file);
  expect(paths.sort()).toEqual([...run, 'handle.ts'].sort());
});

test.each(receiversAtHand)(
  'the receiver of the page for $name has its types, takes what is genuine once, and refuses the rest',
  async (program) => {
    const folder = await installReceiver(program);
    try {
      await checkTypes(folder, program);
      expect(await runReceiver(folder, program)).toEqual(expectedRun);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  60_000,
);

test('the page has the schedule that is kept', () => {
  const units = [
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1_000, 's'],
  ] as const;
  const waits = usualSchedule.retryAfterMs.map((ms) => {
    const [unitMs, unit] = units.find(([size]) => ms >= size) as (typeof units)[number];
    return `${ms / unitMs} ${unit}`;
  });
  const said = `${waits.slice(0, -1).join(', ')} and ${waits.at(-1)}`;
  expect(page).toContain(`tried again after ${said}`);
});
