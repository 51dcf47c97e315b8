import { expect, test } from 'vitest';
import { ConfigInvalid, readConfig } from '../src/config.ts';

const url = 'postgresql://harbor@db.internal:5432/harbor';
const modes = ['disable', 'no-verify', 'prefer', 'require', 'verify-ca', 'verify-full'];

test.each(modes)('sslmode=%s is taken as it is', (mode) => {
  const given = `${url}?sslmode=${mode}`;
  expect(readConfig({ DATABASE_URL: given, PGSSLMODE: mode }).databaseUrl).toBe(given);
});

test.each(['bogus', 'allow', 'verify_full', ''])(
  'sslmode=%s is refused, with what is allowed, and not taken for something else',
  (mode) => {
    const read = () => readConfig({ DATABASE_URL: `${url}?application_name=x&sslmode=${mode}` });
    expect(read).toThrow(ConfigInvalid);
    expect(read).toThrow(`DATABASE_URL: sslmode must be one of ${modes.join(', ')}`);
  },
);

test('a PGSSLMODE that the driver would take for none at all is refused', () => {
  expect(() => readConfig({ DATABASE_URL: url, PGSSLMODE: 'verify_full' })).toThrow(
    `PGSSLMODE: must be one of ${modes.join(', ')}`,
  );
});

test('what a partition of events holds is a quarter or a month', () => {
  expect(readConfig({}).eventPartitions).toBeUndefined();
  expect(readConfig({ EVENT_PARTITIONS: 'month' }).eventPartitions).toBe('month');
  expect(() => readConfig({ EVENT_PARTITIONS: 'week' })).toThrow(
    'EVENT_PARTITIONS: must be quarter or month',
  );
});
